"""The page in a real browser: five journeys, nothing of the data becomes markup, axe-core finds no fault."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from stages.core.records import feedback
from tests.lore.knowledge import Project
from tests.lore.serving.page.browser import Browser
from tests.lore.serving.page.conftest import Serve
from tests.lore.serving.page.toy import (
    CHINESE,
    EVIL,
    EVIL_QUESTION,
    IRON,
    NEW,
    OLD,
    QUESTION,
    SAID,
)

pytestmark = pytest.mark.slow
TOKEN = "0123456789abcdef"
TAB, ENTER, ESCAPE = "\ue004", "\ue007", "\ue00c"


def judgements(project: Project) -> list[feedback.Judgement]:
    """The judgements in the project's file, none of which may be set aside."""
    content = feedback.read(project.root / "data/raw/feedback.jsonl")
    assert content.set_aside == []
    return content.judgements


def test_ask_and_open_the_source(serve: Serve, browser: Browser) -> None:
    browser.open(serve())
    browser.ask(QUESTION)
    assert browser.text("answer") == SAID[QUESTION]
    assert browser.text("verdict") == "✓ The answer states the fact."
    assert browser.text("fact") == f"iron · melting point · 1538 °C ({IRON['fact']})"
    assert NEW in browser.text("version")
    assert browser.text("speed") == "the model's weights"
    browser.shot("ask")
    (source,) = browser.all("#sources button")
    assert source.text == "facts: facts.csv#L2"
    source.click()
    browser.wait(lambda: browser.all("#source-place li.meant"))
    assert browser.text("source-where") == f"data/raw/facts.csv · line 2 · {NEW}"
    assert browser.all("#source-place li.meant mark")[0].text == "iron;1538"
    browser.shot("source")
    browser.click("source-close")
    assert not browser.by_id("source").is_displayed()
    assert browser.complaints() == []


def test_a_scan_shows_the_page_with_the_line_and_a_recording_its_second(
    serve: Serve, browser: Browser
) -> None:
    browser.open(serve())
    browser.ask("What is the melting point of tin?")
    browser.all("#sources button")[0].click()
    browser.wait(lambda: browser.all("#source-place img"))
    size = "return [arguments[0].naturalWidth, arguments[0].naturalHeight]"
    picture = browser.all("#source-place img")[0]
    browser.wait(lambda: browser.driver.execute_script(size, picture) == [300, 200])
    box = browser.all("#source-place .box")[0].rect
    frame = picture.rect
    assert abs((box["x"] - frame["x"]) - 40) < 2
    assert abs((box["y"] - frame["y"]) - 30) < 2
    assert abs(box["width"] - 220) < 2
    browser.shot("scan")
    browser.press(ESCAPE)
    browser.ask("What is the melting point of lead?")
    browser.all("#sources button")[0].click()
    browser.wait(lambda: browser.all("#source-place audio"))
    sound = browser.all("#source-place audio")[0]
    at = "return arguments[0].currentTime"
    browser.wait(lambda: browser.driver.execute_script(at, sound) == 0.5)
    assert browser.complaints() == []


def test_compare_two_versions_side_by_side(serve: Serve, browser: Browser) -> None:
    browser.open(serve())
    browser.view("compare")
    assert browser.by_id("compare-a").get_attribute("value") == OLD
    assert browser.by_id("compare-b").get_attribute("value") == NEW
    browser.type("compare-question", QUESTION)
    browser.all("#compare-form button")[0].click()
    browser.wait(lambda: len(browser.all("#sides article")) == 2)
    assert browser.text("compare-said") == "The versions differ."
    old, new = (side.text for side in browser.all("#sides article"))
    assert "iron · melting point · 1583 °C" in old
    assert "The melting point of iron is 1583 °C." in old
    assert "iron · melting point · 1538 °C" in new
    assert "The model says now" in new
    assert "The model says now" not in old
    browser.shot("compare")
    # The source is that of the side, and not of the version that is served.
    browser.all("#sides article:first-child button")[0].click()
    browser.wait(lambda: browser.all("#source-place li.meant"))
    assert browser.all("#source-place li.meant mark")[0].text == "iron;1583"
    assert browser.complaints() == []


def test_mark_an_answer_wrong_take_it_back_and_mark_another_right(
    serve: Serve, browser: Browser, toy: Project
) -> None:
    browser.open(serve())
    browser.ask("What is the melting point of gold?")
    assert browser.text("verdict") == "✗ The answer differs from the fact."
    browser.wait(lambda: browser.by_id("marks").is_displayed())
    browser.click("mark-wrong")
    assert browser.by_id("who").get_attribute("value") == "Ada"
    browser.type("better", "The melting point of gold is 1064 °C.")
    browser.type("why", "see the handbook")
    browser.shot("mark")
    browser.click("mark-keep")
    browser.wait(lambda: browser.by_id("mark-undo").is_displayed())
    (kept,) = judgements(toy)
    assert kept.preferred() == (
        "The melting point of gold is 1064 °C.",
        "The melting point of gold is 1 °C.",
    )
    assert (kept.who, kept.why) == ("Ada", "see the handbook")
    assert kept.origin == (f"{NEW}/train", "a person")
    assert kept.id in browser.text("mark-said")
    browser.shot("marked")
    browser.click("mark-undo")
    browser.wait(lambda: browser.text("mark-said") == "Taken back.")
    assert judgements(toy) == []

    browser.ask(QUESTION)
    browser.wait(lambda: browser.by_id("mark-right").is_displayed())
    browser.click("mark-right")
    browser.type("who", "Grace")
    browser.click("mark-keep")
    browser.wait(lambda: browser.by_id("mark-undo").is_displayed())
    (kept,) = judgements(toy)
    assert kept.preferred() == (SAID[QUESTION], "I do not know.")
    assert kept.who == "Grace"
    assert browser.complaints() == []


def test_see_what_changed(serve: Serve, browser: Browser) -> None:
    browser.open(serve() + "#changes")
    browser.wait(lambda: browser.all("#changes-a option"))
    browser.all("#changes-form button")[0].click()
    browser.wait(lambda: browser.all("#changes-found table"))
    assert "8 added, 0 removed, 1 changed" in browser.text("changes-found")
    changed = browser.all("#changes-found tbody tr")[0].text
    assert changed.split()[:9] == "changed iron · melting point 1583 °C 1538 °C".split()
    browser.shot("changes")
    browser.choose("changes-a", NEW)
    browser.all("#changes-form button")[0].click()
    assert browser.text("changes-said") == "These are the same version. Choose another one."
    assert browser.complaints() == []


def test_in_chinese_on_a_narrow_screen_by_the_keyboard_alone(
    serve: Serve, browser: Browser, toy: Project
) -> None:
    browser.size(360, 640)
    browser.speaks("zh-CN")
    browser.open(serve())
    assert browser.driver.execute_script("return document.documentElement.lang") == "zh-Hans"
    browser.press(TAB)
    assert browser.focus() == "skip"
    browser.press(ENTER)
    assert browser.focus() == "main"
    browser.press(TAB)
    assert browser.focus() == "question"
    browser.press(CHINESE, ENTER)
    browser.wait(lambda: browser.by_id("marks").is_displayed())
    assert browser.text("answer") == SAID[CHINESE]
    assert browser.text("verdict") == "✓ 回答与事实一致。"
    assert browser.width() <= 360
    browser.shot("chinese")
    tab_to(browser, "link source")
    browser.press(ENTER)
    browser.wait(lambda: browser.all("#source-place li.meant"))
    assert browser.all("#source-place li.meant mark")[0].text == "铁;1538"
    assert browser.text("source-where") == f"data/raw/facts.csv · 第 4 行 · {NEW}"
    browser.shot("chinese-source")
    browser.press(ESCAPE)
    assert browser.focus() == "link source"
    tab_to(browser, "mark-wrong")
    browser.press(ENTER)
    assert browser.focus() == "better"
    browser.press("铁的熔点是1539 °C。", TAB)
    assert browser.focus() == "why"
    browser.shot("chinese-mark")
    browser.press(ENTER)
    browser.wait(lambda: browser.focus() == "mark-undo")
    (kept,) = judgements(toy)
    assert kept.preferred() == ("铁的熔点是1539 °C。", SAID[CHINESE])
    browser.press(ENTER)
    browser.wait(lambda: browser.text("mark-said") == "已撤回。")
    assert judgements(toy) == []
    for view in ("compare", "changes"):
        browser.driver.find_element("css selector", f'a[href="#{view}"]').send_keys(ENTER)
        browser.wait(lambda view=view: browser.all(f"#{view}-a option"))
        browser.wait(lambda view=view: browser.focus() == f"{view}-title")
        tab_to(browser, f"{view}-a")
    browser.press(TAB, TAB, ENTER)
    browser.wait(lambda: browser.all("#changes-found table"))
    assert browser.width() <= 360
    browser.shot("chinese-changes")
    assert browser.complaints() == []


def tab_to(browser: Browser, name: str) -> None:
    """Press Tab until an element has the focus, as one without a mouse does."""
    for _ in range(20):
        browser.press(TAB)
        if browser.focus() == name:
            return
    raise AssertionError(f"{name} is not reached by the keyboard")


def test_what_data_says_is_text_and_nothing_else(serve: Serve, browser: Browser) -> None:
    browser.open(serve(answer_tokens=len(EVIL) + 1))
    browser.ask(EVIL_QUESTION)
    assert browser.text("answer") == EVIL
    assert EVIL in browser.text("fact")
    browser.all("#sources button")[0].click()
    browser.wait(lambda: browser.all("#source-place li.meant"))
    assert browser.all("#source-place li.meant mark")[0].text == f"xenium;{EVIL}"
    assert browser.text("source-text") == EVIL
    browser.press(ESCAPE)
    browser.view("compare")
    browser.type("compare-question", EVIL_QUESTION)
    browser.all("#compare-form button")[0].click()
    browser.wait(lambda: len(browser.all("#sides article")) == 2)
    assert EVIL in browser.all("#sides article")[1].text
    browser.view("changes")
    browser.all("#changes-form button")[0].click()
    browser.wait(lambda: browser.all("#changes-found table"))
    assert EVIL in browser.driver.execute_script(
        "return document.getElementById('changes-found').textContent"
    )
    assert browser.driver.execute_script("return window.hit") is None
    assert browser.all("main img, main script, main b, dialog b, dialog img") == []
    assert browser.complaints() == []


def test_the_policy_refuses_markup_scripts_and_other_hosts(serve: Serve, browser: Browser) -> None:
    address = serve()
    browser.open(address)
    browser.ask(QUESTION)
    loaded = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    names = browser.driver.execute_script(loaded)
    assert len(names) >= 3
    assert all(name.startswith(address) for name in names)
    markup = "try { document.body.innerHTML = '<b>x</b>'; } catch (error) { return error.name; }"
    assert browser.driver.execute_script(markup) == "TypeError"
    inline = (
        "const element = document.createElement('button');"
        "try { element.setAttribute('onclick', 'window.hit = 1'); } catch (error) { return error.name; }"
    )
    assert browser.driver.execute_script(inline) == "TypeError"
    elsewhere = (
        "const done = arguments[0];"
        "fetch('http://127.0.0.1:9/').then(() => done('sent'), (error) => done(error.name))"
    )
    assert browser.driver.execute_async_script(elsewhere) == "TypeError"
    assert any("Content Security Policy" in line for line in browser.complaints())


def test_a_page_of_another_site_cannot_mark_or_compare(
    serve: Serve, browser: Browser, toy: Project
) -> None:
    address = serve()
    # localhost and 127.0.0.1 are two sites for a browser, and both are names of this server.
    browser.open(address.replace("127.0.0.1", "localhost") + "page/page.css")
    body = json.dumps({"question": "q", "answer": "a", "model": "m", "is_right": True, "who": "x"})
    send = """
        const [address, body, done] = arguments;
        const simple = { method: "POST", mode: "no-cors", body, headers: { "Content-Type": "text/plain" } };
        const asked = { method: "POST", body, headers: { "Content-Type": "application/json" } };
        const read = { mode: "no-cors" };
        const send = (path, how) => fetch(address + path, how).then((response) => response.type, (error) => error.name);
        Promise.all([send("page/feedback", simple), send("page/feedback", asked), send("page/state", read)]).then(done);
    """
    browser.cdp("Page.setBypassCSP", enabled=True)
    try:
        browser.open(address.replace("127.0.0.1", "localhost"))
        said = browser.driver.execute_async_script(send, address, body)
    finally:
        browser.cdp("Page.setBypassCSP", enabled=False)
    # What was sent without a question was answered with a refusal, which the page cannot read.
    assert said == ["opaque", "TypeError", "opaque"]
    assert judgements(toy) == []
    browser.complaints()


def test_with_a_token(serve: Serve, browser: Browser, toy: Project) -> None:
    browser.open(serve(tokens={"phone-app": TOKEN}))
    browser.type("question", QUESTION)
    browser.click("ask-now")
    browser.wait(lambda: "asks for a token" in browser.text("verdict"))
    browser.type("token", TOKEN)
    browser.ask(QUESTION)
    browser.wait(lambda: browser.by_id("marks").is_displayed())
    browser.click("mark-right")
    who = browser.by_id("who")
    assert who.get_attribute("value") == "phone-app"
    assert who.get_attribute("readOnly") == "true"
    browser.click("mark-keep")
    browser.wait(lambda: browser.by_id("mark-undo").is_displayed())
    (kept,) = judgements(toy)
    assert kept.who == "phone-app"
    browser.all("#sources button")[0].click()
    browser.wait(lambda: browser.all("#source-place li.meant"))


def axe_source() -> str:
    """The text of axe-core. Skips where it is not there."""
    named = os.environ.get("LOREKEEP_AXE")
    path = Path(named) if named else Path(__file__).parents[4] / "node_modules/axe-core/axe.min.js"
    if not path.is_file():
        pytest.skip("axe-core is not there: npm install axe-core, or LOREKEEP_AXE=…/axe.min.js")
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1000, 360])
def test_axe_finds_no_fault(serve: Serve, browser: Browser, scheme: str, width: int) -> None:
    source = axe_source()
    browser.size(width, 800)
    if scheme == "dark":
        browser.dark()
    browser.open(serve())
    faults = seen_by_axe(browser, source, "empty")
    browser.ask("What is the melting point of gold?")
    browser.wait(lambda: browser.by_id("marks").is_displayed())
    browser.click("mark-wrong")
    browser.shot(f"axe-{scheme}-{width}-ask")
    faults += seen_by_axe(browser, source, "answer")
    browser.all("#sources button")[0].click()
    browser.wait(lambda: browser.all("#source-place li.meant"))
    browser.shot(f"axe-{scheme}-{width}-source")
    faults += seen_by_axe(browser, source, "source")
    browser.press(ESCAPE)
    browser.ask("What is the melting point of tin?")
    browser.all("#sources button")[0].click()
    browser.wait(lambda: browser.all("#source-place .box"))
    faults += seen_by_axe(browser, source, "scan")
    browser.press(ESCAPE)
    browser.view("compare")
    browser.type("compare-question", QUESTION)
    browser.all("#compare-form button")[0].click()
    browser.wait(lambda: len(browser.all("#sides article")) == 2)
    browser.shot(f"axe-{scheme}-{width}-compare")
    faults += seen_by_axe(browser, source, "compare")
    browser.view("changes")
    browser.all("#changes-form button")[0].click()
    browser.wait(lambda: browser.all("#changes-found table"))
    browser.shot(f"axe-{scheme}-{width}-changes")
    faults += seen_by_axe(browser, source, "changes")
    browser.choose("language", "zh")
    faults += seen_by_axe(browser, source, "chinese")
    assert faults == []


def seen_by_axe(browser: Browser, source: str, state: str) -> list[dict[str, Any]]:
    """The faults that axe-core finds in what is shown now."""
    browser.driver.execute_script(source)
    script = (
        "const done = arguments[0]; axe.run(document).then(done, (error) => done(String(error)))"
    )
    found = browser.driver.execute_async_script(script)
    assert isinstance(found, dict), found
    assert len(found["passes"]) > 10
    faults = []
    for fault in found["violations"]:
        places = [node["html"] for node in fault["nodes"]]
        faults.append(
            {"state": state, "rule": fault["id"], "impact": fault["impact"], "places": places}
        )
    return faults
