"use strict";
// Everything that comes from data goes through textContent, so none of it becomes markup.
// The policy of the page (require-trusted-types-for) makes the browser refuse anything else.

const VIEWS = ["ask", "compare", "changes"];
const SHORT = 14;       // characters of a cell that stays on one line
const at = (id) => document.getElementById(id);
let language = remembered("language") || (navigator.language.startsWith("zh") ? "zh" : "en");
let state = null;       // versions to choose from and who marks, once they were asked for
let answered = null;    // the last whole answer: question, text, model, lorekeep
let running = null;     // stops the answer that is being written
let isRight = true;     // what the open mark says
let keptMark = null;    // id of the mark that can be taken back
let comparison = null;  // the last comparison, to show it again in another language

function say(key) { return TEXTS[language][key]; }

// Where the browser keeps nothing for this page, its choices last until it is closed.
function remembered(name) {
  try { return localStorage.getItem("lorekeep." + name); } catch (error) { return null; }
}

function remember(name, value) {
  try { localStorage.setItem("lorekeep." + name, value); } catch (error) { /* it is not kept */ }
}

function make(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

function tell(id, text, className) {
  at(id).className = className || "";
  at(id).textContent = text;
}

// ---- Asking the server ----

class Refusal extends Error {}

function headers(more) {
  const token = at("token").value;
  return token ? { ...more, Authorization: "Bearer " + token } : { ...more };
}

async function refusalOf(response) {
  if (response.status === 401) {
    at("access").open = true;
    return new Refusal(say("needsToken"));
  }
  try {
    return new Refusal((await response.json()).error.message);
  } catch (error) {
    return new Refusal(`HTTP ${response.status}`);
  }
}

async function get(path, values) {
  const response = await fetch(`${path}?${new URLSearchParams(values)}`, { headers: headers() });
  if (!response.ok) throw await refusalOf(response);
  return response;
}

async function post(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: headers({ "Content-Type": "application/json" }),
    body: JSON.stringify(body),
  });
  if (!response.ok) throw await refusalOf(response);
  return response.json();
}

function messageOf(error) {
  return error instanceof Refusal ? error.message : say("away");
}

// ---- Views and language ----

function showView(isChosen) {
  const wanted = location.hash.slice(1);
  const view = VIEWS.includes(wanted) ? wanted : "ask";
  for (const name of VIEWS) {
    at(`${name}-view`).hidden = name !== view;
    const link = document.querySelector(`nav a[href="#${name}"]`);
    if (name === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${say("view" + view[0].toUpperCase() + view.slice(1))} · Lorekeep`;
  if (isChosen) at(`${view}-title`).focus();
  if (view === "compare" && !at("compare-question").value) {
    at("compare-question").value = at("question").value;
  }
  if (view !== "ask") fillVersions(`${view}-said`);
}

function label() {
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  at("language").value = language;
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = say(element.dataset.text);
  }
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", say(element.dataset.label));
  }
  if (answered) showDetails(answered.lorekeep);
  if (comparison) showComparison();
  if (!at("mark-form").hidden) openMark(isRight);
  if (state) optionsOfVersions();
}

// ---- Ask ----

function clearAnswer() {
  answered = null;
  at("answer").textContent = "";
  at("spoken").textContent = "";
  tell("verdict", "");
  at("details").hidden = true;
  at("marks").hidden = true;
}

async function ask() {
  clearAnswer();
  const question = at("question").value;
  running = new AbortController();
  at("stop").hidden = false;
  at("ask-now").disabled = true;
  try {
    await answerTo(question, at("from").value, running.signal, (piece) => {
      at("answer").textContent += piece;
    }, (model, lorekeep) => {
      answered = { question, text: at("answer").textContent, model, lorekeep };
    });
    if (answered) {
      showDetails(answered.lorekeep);
      at("spoken").textContent = answered.text;
      offerMarks();
    }
  } catch (error) {
    if (error.name === "AbortError") tell("verdict", say("stopped"));
    else tell("verdict", messageOf(error), "bad");
  } finally {
    const hadFocus = document.activeElement === at("stop");
    running = null;
    at("stop").hidden = true;
    at("ask-now").disabled = false;
    if (hadFocus) at("ask-now").focus();
  }
}

// `version` names one of the versions that are served. Without it, the server chooses.
async function answerTo(question, from, signal, onPiece, onEnd, version) {
  const response = await fetch("v1/chat/completions", {
    method: "POST",
    headers: headers({ "Content-Type": "application/json" }),
    signal,
    body: JSON.stringify({
      model: version || "",
      messages: [{ role: "user", content: question }],
      stream: true,
      lorekeep: { answer_from: from },
    }),
  });
  if (!response.ok) throw await refusalOf(response);
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let waiting = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    waiting += decoder.decode(value, { stream: true });
    const events = waiting.split("\n\n");
    waiting = events.pop();
    for (const event of events) {
      const data = event.replace(/^data: /, "");
      if (data === "[DONE]") return;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new Refusal(chunk.error.message);
      const piece = chunk.choices[0] && chunk.choices[0].delta.content;
      if (piece) onPiece(piece);
      if (chunk.lorekeep) onEnd(chunk.model, chunk.lorekeep);
    }
  }
}

function factText(fact) {
  const value = [fact.value, fact.unit].filter(Boolean).join(" ");
  return [fact.subject, fact.attribute, value].join(" · ");
}

function showDetails(lorekeep) {
  let key = lorekeep.agrees === null ? "none" : lorekeep.agrees ? "agrees" : "differs";
  if (lorekeep.withheld) key = "withheld";
  tell("verdict", say(key), { agrees: "good", differs: "bad", none: "", withheld: "" }[key]);
  const fact = lorekeep.fact;
  at("fact").textContent = fact ? `${factText(fact)} (${fact.id})` : say("noFact");
  const version = lorekeep.version;
  at("sources").replaceChildren(...sourceItems(lorekeep.sources, version.name));
  const parts = [version.name, version.commit && version.commit.slice(0, 9), lorekeep.variant,
                 `${say("generation")} ${version.generation}`];
  at("version").textContent = parts.filter(Boolean).join(" · ");
  const similarity = lorekeep.similarity === null ? "" : ` (${lorekeep.similarity.toFixed(2)})`;
  at("speed").textContent = say(lorekeep.speed) + similarity;
  at("details").hidden = false;
}

function sourceItems(sources, version) {
  return sources.map((source) => {
    const item = make("li");
    const name = `${source.source}: ${source.locator}`;
    const button = make("button", name, "link source");
    button.type = "button";
    button.setAttribute("aria-label", `${say("showSource")} ${name}`);
    button.addEventListener("click", () => openSource(source.record, version));
    item.append(button);
    return item;
  });
}

// ---- Source ----

let mediaAddress = null;

async function openSource(record, version) {
  at("source-where").textContent = "";
  at("source-text").textContent = "";
  at("source-place").replaceChildren();
  tell("source-said", "");
  at("source").showModal();
  try {
    const found = await (await get("page/source", { record, version })).json();
    at("source-where").textContent = [found.file, ...whereOf(found), found.version].join(" · ");
    at("source-text").textContent = found.text;
    if (found.media) await showMedia(record, version, found);
    else if (found.lines.length) at("source-place").append(linesOf(found.lines));
    else tell("source-said", say("noPlace"));
  } catch (error) {
    tell("source-said", messageOf(error), "bad");
  }
}

// The place in words of the chosen language. Other places than these have names that are no words.
function whereOf(found) {
  const parts = [];
  if (found.page) parts.push(say("onPage").replace("{}", found.page));
  if (found.line) parts.push(say("onLine").replace("{}", found.line));
  if (found.seconds) parts.push(say("inSeconds").replace("{}", found.seconds.join("–")));
  return parts.length ? parts : [found.where];
}

function linesOf(lines) {
  const list = make("ol", undefined, "lines");
  // It may scroll, so the keyboard must reach it.
  list.tabIndex = 0;
  list.setAttribute("aria-label", say("source"));
  for (const line of lines) {
    const item = make("li", undefined, line.is_meant ? "meant" : "");
    const number = make("span", line.number || "", "number");
    const text = make(line.is_meant ? "mark" : "span", line.text);
    item.append(number, text);
    list.append(item);
  }
  return list;
}

async function showMedia(record, version, found) {
  const response = await get("page/media", { record, version });
  const [width, height] = JSON.parse(response.headers.get("X-Size"));
  if (mediaAddress) URL.revokeObjectURL(mediaAddress);
  mediaAddress = URL.createObjectURL(await response.blob());
  if (found.media === "sound") {
    const sound = make("audio");
    sound.controls = true;
    sound.src = mediaAddress + (found.seconds ? `#t=${found.seconds.join(",")}` : "");
    at("source-place").append(sound);
    return;
  }
  const frame = make("div", undefined, "picture");
  const picture = make("img");
  picture.alt = say("picture");
  picture.src = mediaAddress;
  frame.append(picture);
  let mark = null;
  if (found.box) {
    const [left, top, right, bottom] = found.box;
    mark = make("div", undefined, "box");
    mark.style.left = `${100 * left / width}%`;
    mark.style.top = `${100 * top / height}%`;
    mark.style.width = `${100 * (right - left) / width}%`;
    mark.style.height = `${100 * (bottom - top) / height}%`;
    frame.append(mark);
  }
  at("source-place").append(frame);
  await picture.decode();
  if (mark) mark.scrollIntoView({ block: "center" });
}

// ---- Marks ----

async function offerMarks() {
  keptMark = null;
  at("mark-form").hidden = true;
  at("mark-undo").hidden = true;
  at("mark-buttons").hidden = false;
  tell("mark-said", "");
  try {
    await loadState();
  } catch (error) {
    return;
  }
  if (!state.feedback || !answered || !answered.text.trim()) return;
  at("marks").hidden = false;
}

function openMark(right) {
  const wasHidden = at("mark-form").hidden;
  isRight = right;
  at("mark-right").setAttribute("aria-pressed", String(right));
  at("mark-wrong").setAttribute("aria-pressed", String(!right));
  at("better-field").hidden = right;
  at("mark-hint").textContent = say(right ? "hintRight" : "hintWrong");
  const who = at("who");
  who.readOnly = state.who_is_fixed;
  document.querySelector("label[for=who]").textContent = say(state.who_is_fixed ? "whoFixed" : "who");
  if (wasHidden) {
    who.value = state.who_is_fixed ? state.who : remembered("who") || state.who;
    at("better").value = "";
    at("why").value = "";
    tell("mark-said", "");
  }
  at("mark-form").hidden = false;
}

function closeMark() {
  at("mark-form").hidden = true;
  at("mark-right").removeAttribute("aria-pressed");
  at("mark-wrong").removeAttribute("aria-pressed");
}

async function keepMark() {
  const marked = answered;
  if (!state.who_is_fixed) remember("who", at("who").value.trim());
  at("mark-keep").disabled = true;
  try {
    const kept = await post("page/feedback", {
      question: marked.question,
      answer: marked.text,
      model: marked.model,
      is_right: isRight,
      better: isRight ? "" : at("better").value,
      who: at("who").value,
      why: at("why").value,
    });
    if (answered !== marked) return;
    keptMark = kept.id;
    closeMark();
    at("mark-buttons").hidden = true;
    tell("mark-said", `${say("kept")} ${kept.id} (${kept.who}).`, "good");
    at("mark-undo").hidden = false;
    at("mark-undo").focus();
  } catch (error) {
    tell("mark-said", messageOf(error), "bad");
  } finally {
    at("mark-keep").disabled = false;
  }
}

async function undoMark() {
  try {
    await post("page/withdraw", { id: keptMark });
    keptMark = null;
    at("mark-undo").hidden = true;
    at("mark-buttons").hidden = false;
    tell("mark-said", say("undone"));
    at("mark-right").focus();
  } catch (error) {
    tell("mark-said", messageOf(error), "bad");
  }
}

// ---- Versions ----

async function loadState() {
  if (!state) state = await (await get("page/state", {})).json();
}

async function fillVersions(said) {
  const isFirst = !state;
  try {
    await loadState();
    if (isFirst || !at("compare-a").options.length) optionsOfVersions();
  } catch (error) {
    tell(said, messageOf(error), "bad");
  }
}

function optionsOfVersions() {
  for (const view of ["compare", "changes"]) {
    for (const side of ["a", "b"]) {
      const select = at(`${view}-${side}`);
      const chosen = select.value;
      select.replaceChildren(...state.versions.map((version) => {
        const more = [version.day, version.is_served && say("served")].filter(Boolean).join(", ");
        const option = make("option", more ? `${version.name} (${more})` : version.name);
        option.value = version.name;
        return option;
      }));
      // First: the served version on the right, the one before it on the left.
      const place = side === "b" ? 0 : earlierThanServed();
      select.value = chosen || state.versions[Math.min(place, state.versions.length - 1)].name;
    }
  }
}

function earlierThanServed() {
  const served = state.versions[0];
  const place = state.versions.findIndex((version, number) => number > 0 && version.day <= served.day);
  return place < 0 ? 1 : place;
}

// ---- Compare ----

async function compare() {
  if (!state) await fillVersions("compare-said");
  if (!state) return;
  const a = at("compare-a").value;
  const b = at("compare-b").value;
  const question = at("compare-question").value;
  comparison = null;
  at("sides").replaceChildren();
  if (a === b) { tell("compare-said", say(state.versions.length > 1 ? "sameVersion" : "oneVersion"), "bad"); return; }
  tell("compare-said", say("working"));
  try {
    const found = await (await get("page/compare", { question, a, b })).json();
    comparison = { question, sides: found.sides };
    for (const side of found.sides) {
      if (side.is_served) side.now = await answerNow(question, side.name);
    }
    showComparison();
  } catch (error) {
    tell("compare-said", messageOf(error), "bad");
  }
}

async function answerNow(question, version) {
  const now = { text: "", agrees: null, model: "" };
  await answerTo(question, "model", undefined, (piece) => { now.text += piece; }, (model, lorekeep) => {
    now.agrees = lorekeep.agrees;
    now.model = model;
  }, version);
  return now;
}

function showComparison() {
  const [one, other] = comparison.sides;
  const isSame = sayingOf(one) === sayingOf(other);
  tell("compare-said", say(isSame ? "sidesSame" : "sidesDiffer"));
  at("sides").replaceChildren(sideOf(one), sideOf(other));
}

// What two versions are compared by: the value of the fact and the recorded answers.
function sayingOf(side) {
  const fact = side.fact && factText(side.fact);
  return JSON.stringify([fact, side.answers.map((answer) => [answer.question, answer.answer])]);
}

function sideOf(side) {
  const box = make("article");
  box.append(make("h3", side.is_served ? `${side.name} (${say("served")})` : side.name));
  box.append(make("h4", say("saysRecords")));
  box.append(make("p", side.fact ? factText(side.fact) : say("noFact"), "said"));
  const list = make("ul");
  list.append(...sourceItems(side.sources, side.name));
  if (side.sources.length) box.append(list);
  if (side.now) {
    box.append(make("h4", say("saysNow")));
    box.append(make("p", side.now.text, "said"));
    if (side.now.agrees !== null) {
      box.append(make("p", say(side.now.agrees ? "right" : "wrong"), side.now.agrees ? "good" : "bad"));
    }
  }
  box.append(make("h4", say("saysModel")));
  if (!side.answers.length) box.append(make("p", say("notAsked")));
  for (const answer of side.answers) {
    box.append(make("p", `${say("asked")}: ${answer.question}`, "hint"));
    box.append(make("p", answer.answer, "said"));
    box.append(make("p", say(answer.correct ? "right" : "wrong"), answer.correct ? "good" : "bad"));
  }
  return box;
}

// ---- What changed ----

async function showChanges() {
  if (!state) await fillVersions("changes-said");
  if (!state) return;
  const a = at("changes-a").value;
  const b = at("changes-b").value;
  at("changes-found").replaceChildren();
  if (a === b) { tell("changes-said", say(state.versions.length > 1 ? "sameVersion" : "oneVersion"), "bad"); return; }
  tell("changes-said", say("working"));
  try {
    const found = await (await get("page/difference", { a, b })).json();
    tell("changes-said", `${found.a} → ${found.b}`);
    const parts = found.notes.map((note) => make("p", "! " + note, "hint"));
    for (const section of found.sections) parts.push(...sectionOf(section, found));
    at("changes-found").replaceChildren(...parts);
  } catch (error) {
    tell("changes-said", messageOf(error), "bad");
  }
}

function sectionOf(section, found) {
  const parts = [make("h3", section.title)];
  for (const line of section.lines) parts.push(make("p", line));
  if (!section.rows.length) return parts;
  const frame = make("div", undefined, "scroll");
  // A wide table scrolls, so the keyboard must reach it.
  frame.tabIndex = 0;
  frame.setAttribute("role", "region");
  frame.setAttribute("aria-label", `${say("table")}: ${section.title}`);
  const table = make("table");
  const head = make("tr");
  for (const name of section.columns) {
    const cell = make("th", name || say("kind"));
    cell.scope = "col";
    head.append(cell);
  }
  const top = make("thead");
  top.append(head);
  const body = make("tbody");
  for (const row of section.rows) {
    const line = make("tr");
    for (const text of row) {
      const colour = found.good.includes(text) ? "good" : found.bad.includes(text) ? "bad" : "";
      // A value and its unit are not parted.
      const isShort = text.length <= SHORT ? " short" : "";
      line.append(make("td", text, colour + isShort));
    }
    body.append(line);
  }
  table.append(top, body);
  frame.append(table);
  parts.push(frame);
  return parts;
}

// ---- What people do ----

function onSubmit(id, work) {
  at(id).addEventListener("submit", (event) => { event.preventDefault(); work(); });
}

function enterSubmits(id) {
  at(id).addEventListener("keydown", (event) => {
    // Enter asks, Shift+Enter begins a line. Enter that ends the choice of a Chinese character does neither.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      if (!running) event.target.form.requestSubmit();
    }
  });
}

onSubmit("ask-form", ask);
onSubmit("compare-form", compare);
onSubmit("changes-form", showChanges);
onSubmit("mark-form", keepMark);
onSubmit("token-form", () => at("question").focus());
enterSubmits("question");
enterSubmits("compare-question");
at("stop").addEventListener("click", () => { if (running) running.abort(); });
at("mark-right").addEventListener("click", () => { openMark(true); at("why").focus(); });
at("mark-wrong").addEventListener("click", () => { openMark(false); at("better").focus(); });
at("mark-cancel").addEventListener("click", () => { closeMark(); at("mark-right").focus(); });
at("mark-undo").addEventListener("click", undoMark);
at("source-close").addEventListener("click", () => at("source").close());
at("token").addEventListener("change", () => { state = null; });
at("language").addEventListener("change", (event) => {
  language = event.target.value;
  remember("language", language);
  label();
  showView(false);
});
at("skip").addEventListener("click", (event) => { event.preventDefault(); at("main").focus(); });
addEventListener("hashchange", () => showView(true));
label();
showView(false);
