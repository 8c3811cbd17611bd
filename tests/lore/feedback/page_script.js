// The script of the page, on elements that are plain objects, with a server that is a function.
// node tests/lore/feedback/page_script.js lore/rendering/templates/feedback.html
"use strict";
const assert = require("assert");
const fs = require("fs");

const html = fs.readFileSync(process.argv[2], "utf8");
const script = html.match(/<script[^>]*>([\s\S]*)<\/script>/)[1];
const elements = {};
for (const [, id] of html.matchAll(/ id="(\w+)"/g)) {
  elements[id] = {
    textContent: "", value: "", hidden: false, listeners: {}, left: false,
    addEventListener(name, listener) { this.listeners[name] = listener; },
    blur() { this.left = true; },
  };
}
const ofDocument = {};
globalThis.document = {
  documentElement: {},
  getElementById(id) {
    assert(elements[id], `no element ${id}`);
    return elements[id];
  },
  addEventListener(name, listener) { ofDocument[name] = listener; },
};
Object.defineProperty(globalThis, "navigator", {value: {language: "en-GB"}, configurable: true});

const pairs = [
  {question: "Iron?", first: "<b>hot</b>", second: "1538"},
  {question: "金?", first: "甲", second: "乙"},
];
const taken = [];
let isFull = false;
globalThis.fetch = async (path, options) => {
  if (path === "pair") {
    const place = taken.length;
    const open = place < pairs.length ? {number: place, ...pairs[place]} : {};
    return {ok: true, status: 200, json: async () => ({total: 2, judged: place, ...open})};
  }
  assert.strictEqual(path, "judge");
  if (isFull) return {ok: false, status: 500, text: async () => "disk full"};
  taken.push(JSON.parse(options.body));
  return {ok: true, status: 200};
};
(0, eval)(script);

const settled = () => new Promise((done) => setImmediate(() => setImmediate(done)));
async function press(key, more = {}) {
  ofDocument.keydown({key, target: {}, preventDefault() {}, ...more});
  await settled();
}

async function main() {
  await settled();
  assert.strictEqual(elements.question.textContent, "Iron?");
  assert.strictEqual(elements.first.textContent, "<b>hot</b>");
  assert.strictEqual(elements.progress.textContent, "Pair 1 of 2");

  // What is typed into the field for the reason chooses nothing, and neither do other keys.
  await press("1", {target: elements.why});
  await press("Enter", {target: elements.why});
  assert(elements.why.left);
  for (const more of [{ctrlKey: true}, {metaKey: true}, {repeat: true}, {isComposing: true}]) await press("1", more);
  await press("9");
  assert.strictEqual(taken.length, 0);

  isFull = true;
  await press("2");
  assert.strictEqual(elements.trouble.textContent, "Nothing was kept: disk full");
  isFull = false;
  elements.why.value = "clear";
  ofDocument.keydown({key: "2", target: {}, preventDefault() {}});
  await press("2"); // pressed twice: one judgement
  assert.deepStrictEqual(taken, [{number: 0, key: "2", why: "clear"}]);
  assert.strictEqual(elements.trouble.textContent + elements.why.value, "");

  elements.language.listeners.click();
  assert.strictEqual(document.documentElement.lang, "zh");
  assert.strictEqual(elements.progress.textContent, "第 2 对，共 2 对");
  elements.neither.listeners.click();
  await settled();
  assert.deepStrictEqual(taken[1], {number: 1, key: "0", why: ""});
  assert(elements.pair.hidden);
  assert(elements.progress.textContent.startsWith("完成。2 条"));
  await press("1");
  assert.strictEqual(taken.length, 2);
  console.log("all as it should be");
}
main().catch((error) => { console.error(error); process.exit(1); });
