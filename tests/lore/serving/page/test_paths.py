"""The paths of the page: versions, sources, comparison, difference and marks, asked by the page alone."""

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from lore.serving import gate
from lore.serving.page.paths import FILES, FOLDER, PAGE
from stages.core.records import feedback
from stages.core.records.record import write
from tests.lore.knowledge import Project
from tests.lore.serving.page.toy import (
    BOX,
    CHINESE,
    COPPER,
    IRON,
    IRON_BEFORE,
    LEAD,
    LOST,
    NEW,
    OLD,
    QUESTION,
    SAID,
    SILVER,
    TIN,
    ZINC,
    generation_of,
    make_served,
)

HOST = "http://127.0.0.1:8000"
TOKEN = "0123456789abcdef"
MARK = {"question": QUESTION, "answer": SAID[QUESTION], "model": f"{NEW}/train", "is_right": True}
OWN = {"Origin": HOST}


def client_of(toy: Project, **more: Any) -> TestClient:
    """A client of the served toy project."""
    return TestClient(make_served(toy.root, **more), HOST, raise_server_exceptions=False)


def refusal(response: Any, status: int) -> dict[str, Any]:
    """Check that a response is a refusal, and return its error."""
    assert response.status_code == status, response.text
    error: dict[str, Any] = response.json()["error"]
    return error


def kept(toy: Project) -> list[feedback.Judgement]:
    """The judgements in the project's file."""
    content = feedback.read(toy.root / "data/raw/feedback.jsonl")
    assert content.set_aside == []
    return content.judgements


def source(client: TestClient, record: str, **more: str) -> Any:
    """What is said of a record's source."""
    response = client.get("/page/source", params={"record": record, **more})
    assert response.status_code == 200, response.text
    return response.json()


def test_the_page_loads_nothing_from_elsewhere_and_has_no_script_inside(toy: Project) -> None:
    client = client_of(toy)
    for path in ("/", *(f"/page/{name}" for name in FILES)):
        response = client.get(path)
        assert response.status_code == 200
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "unsafe" not in policy
        for forbidden in (
            "http://",
            "https://",
            "innerHTML",
            "document.write",
            "eval(",
            " onclick=",
        ):
            assert forbidden not in response.text
    page = PAGE.read_text(encoding="utf-8")
    assert page.count("<script") == page.count('<script src="page/')
    assert "<style" not in page
    assert " style=" not in page


def test_the_gate_knows_the_paths_of_the_page(toy: Project) -> None:
    files = {"/", *(f"/page/{name}" for name in FILES)}
    assert set(gate.PAGE_FILES) == files
    client = client_of(toy, tokens={"phone-app": TOKEN})
    for path in gate.PAGE_FILES:
        assert client.get(path).status_code == 200
    for path in gate.PAGE_WORK:
        assert refusal(client.get(path), 401)["code"] == "invalid_api_key"
        assert refusal(client.post(path), 401)["code"] == "invalid_api_key"
    client.headers["Authorization"] = f"Bearer {TOKEN}"
    for path in gate.PAGE_WORK:
        # The path is there: what is missing is what to ask, or the method is another one.
        assert client.get(path).status_code in (200, 400, 405)


def test_both_languages_of_the_page_have_the_same_texts() -> None:
    texts = (FOLDER / "texts.js").read_text(encoding="utf-8")
    english, chinese = (
        texts.partition(f"  {language}: {{")[2].partition("\n  },")[0] for language in ("en", "zh")
    )
    names = []
    for block in (english, chinese):
        parts = block.replace("\n", " ").split('",')
        names.append({part.partition(":")[0].strip() for part in parts} - {""})
    assert names[0] == names[1]
    used = set()
    for name in ("page.html", "page.js"):
        text = (FOLDER / name).read_text(encoding="utf-8")
        for before in ('data-text="', 'data-label="', 'say("'):
            used |= {part.partition('"')[0] for part in text.split(before)[1:]}
    used -= {"view"}
    assert used <= names[0]


def test_versions_to_choose_from(toy: Project) -> None:
    toy.git("tag", "unrelated")
    state = client_of(toy).get("/page/state").json()
    assert [version["name"] for version in state["versions"]] == [NEW, OLD]
    assert [version["is_served"] for version in state["versions"]] == [True, False]
    assert all(len(version["day"]) == len("2026-01-31") for version in state["versions"])
    assert (state["who"], state["who_is_fixed"], state["feedback"]) == ("Ada", False, True)


def test_a_candidate_is_shown_from_its_own_records(toy: Project) -> None:
    toy.git("checkout", "-q", OLD)
    (toy.root / "old").mkdir()
    write(toy.root / "old/data/clean/records.parquet", [IRON_BEFORE])
    commit = toy.git("rev-parse", "HEAD").strip()
    toy.git("checkout", "-q", NEW)
    candidate = generation_of(toy.root / "old", "candidate", commit)
    client = client_of(toy, candidate=candidate)
    names = [version["name"] for version in client.get("/page/state").json()["versions"]]
    assert names == [NEW, "candidate", OLD]
    params = {"question": QUESTION, "a": "candidate", "b": NEW}
    one, other = client.get("/page/compare", params=params).json()["sides"]
    assert (one["name"], one["is_served"], one["fact"]["value"]) == ("candidate", True, "1583")
    assert (other["name"], other["is_served"], other["fact"]["value"]) == (NEW, True, "1538")
    assert source(client, IRON_BEFORE["id"], version="candidate")["lines"][1]["text"] == "iron;1583"
    assert candidate.requests == 0


def test_with_tokens_the_name_is_that_of_the_token(toy: Project) -> None:
    client = client_of(toy, tokens={"phone-app": TOKEN})
    client.headers["Authorization"] = f"Bearer {TOKEN}"
    state = client.get("/page/state").json()
    assert (state["who"], state["who_is_fixed"]) == ("phone-app", True)
    client.post("/page/feedback", json={**MARK, "who": "the boss"})
    (judgement,) = kept(toy)
    assert judgement.who == "phone-app"


def test_a_line_with_its_neighbours(toy: Project) -> None:
    found = source(client_of(toy), IRON["id"])
    assert (found["file"], found["line"], found["version"]) == ("data/raw/facts.csv", 2, NEW)
    assert [line["number"] for line in found["lines"]] == [1, 2, 3, 4, 5]
    assert [line["text"] for line in found["lines"] if line["is_meant"]] == ["iron;1538"]


def test_the_source_is_that_of_the_version(toy: Project) -> None:
    client = client_of(toy)
    (toy.root / "data/raw/facts.csv").write_text("changed since\n")
    assert source(client, IRON["id"])["lines"][1]["text"] == "iron;1538"
    before = source(client, IRON_BEFORE["id"], version=OLD)
    assert before["lines"][1]["text"] == "iron;1583"
    assert before["version"] == OLD


@pytest.mark.parametrize(
    ("row", "meant"),
    [
        (ZINC, ["{", '  "name": "zinc",', '  "melting": 420', "}"]),
        (SILVER, ["<sheet>silver 962</sheet>"]),
        (COPPER, ["INSERT INTO properties VALUES (2, 'copper');"]),
    ],
)
def test_elements_and_rows_of_dumps(toy: Project, row: Any, meant: list[str]) -> None:
    lines = source(client_of(toy), row["id"])["lines"]
    assert [line["text"] for line in lines if line["is_meant"]] == meant


def test_a_page_and_a_recording(toy: Project) -> None:
    client = client_of(toy)
    found = source(client, TIN["id"])
    assert (found["media"], found["page"], found["line"]) == ("picture", 1, 1)
    assert found["box"] == list(BOX)
    response = client.get("/page/media", params={"record": TIN["id"]})
    assert response.headers["content-type"] == "image/png"
    assert "sandbox" in response.headers["content-security-policy"]
    assert json.loads(response.headers["x-size"]) == [300, 200]
    assert response.content.startswith(b"\x89PNG")
    assert source(client, LEAD["id"])["seconds"] == [0.5, 1.5]
    response = client.get("/page/media", params={"record": LEAD["id"]})
    assert response.headers["content-type"] == "audio/wav"
    response = client.get("/page/media", params={"record": IRON["id"]})
    assert "neither a picture nor a recording" in refusal(response, 409)["message"]


def test_a_picture_that_is_none(toy: Project) -> None:
    (toy.root / "data/raw/scan.png").write_bytes(b"<script>")
    toy.commit()
    toy.git("tag", "-f", NEW)
    response = client_of(toy).get("/page/media", params={"record": TIN["id"]})
    assert "data/raw/scan.png: cannot be drawn" in refusal(response, 409)["message"]


def test_a_source_that_is_gone(toy: Project) -> None:
    params = {"record": LOST["id"]}
    error = refusal(client_of(toy).get("/page/source", params=params), 409)
    assert "gone.csv" in error["message"]
    assert "neither in git nor in DVC's cache" in error["message"]
    guarded = client_of(toy, tokens={"phone-app": TOKEN})
    guarded.headers["Authorization"] = f"Bearer {TOKEN}"
    error = refusal(guarded.get("/page/source", params=params), 409)
    assert error["message"] == "this cannot be read here; the server's log says why"


def test_only_what_is_served_or_released_is_shown(toy: Project) -> None:
    client = client_of(toy)
    for version in ("HEAD", "main", "knowledge@v9.0.0", "--help"):
        params = {"record": IRON["id"], "version": version}
        error = refusal(client.get("/page/source", params=params), 404)
        assert "neither served nor released here" in error["message"]
    error = refusal(client.get("/page/source", params={"record": "0" * 16}), 404)
    assert f"not in {NEW}" in error["message"]


def test_two_versions_side_by_side(toy: Project) -> None:
    params = {"question": QUESTION, "a": OLD, "b": NEW}
    old, new = client_of(toy).get("/page/compare", params=params).json()["sides"]
    assert (old["name"], old["fact"]["value"]) == (OLD, "1583")
    assert (new["name"], new["fact"]["value"]) == (NEW, "1538")
    asked = "When does iron melt?"
    assert old["answers"] == [
        {"question": asked, "answer": "The melting point of iron is 1583 °C.", "correct": True}
    ]
    assert new["answers"][0]["answer"] == "The melting point of iron is 1538 °C."
    assert new["sources"][0]["locator"] == "facts.csv#L2"


def test_the_same_question_comes_before_others_about_the_fact(toy: Project) -> None:
    params = {"question": "when does gold melt?", "a": NEW, "b": OLD}
    new, _ = client_of(toy).get("/page/compare", params=params).json()["sides"]
    assert new["answers"] == [
        {
            "question": "When does gold melt?",
            "answer": "The melting point of gold is 1 °C.",
            "correct": False,
        }
    ]


def test_a_question_about_nothing(toy: Project) -> None:
    params = {"question": "Who are you?", "a": OLD, "b": NEW}
    for side in client_of(toy).get("/page/compare", params=params).json()["sides"]:
        assert (side["fact"], side["sources"], side["answers"]) == (None, [], [])


def test_a_version_whose_files_are_gone(toy: Project) -> None:
    for digest in (toy.root / ".dvc/cache/files/md5").rglob("*"):
        if digest.is_file():
            digest.unlink()
    params = {"question": QUESTION, "a": OLD, "b": NEW}
    error = refusal(client_of(toy).get("/page/compare", params=params), 409)
    assert "not in DVC's cache" in error["message"]


def test_what_changed(toy: Project) -> None:
    found = client_of(toy).get("/page/difference", params={"a": OLD, "b": NEW}).json()
    facts = found["sections"][0]
    assert facts["title"] == "Facts"
    assert "1 changed" in facts["lines"][0]
    assert facts["rows"][0][:4] == ["changed", "iron · melting point", "1583 °C", "1538 °C"]
    assert "learned" in found["good"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:9000"}, 403),
        ({"Origin": HOST, "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": HOST, "Sec-Fetch-Site": "same-site"}, 403),
        ({"Authorization": "Bearer anything", "Origin": "http://evil.example"}, 403),
        (OWN, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_a_mark_comes_from_the_page_alone(
    toy: Project, headers: dict[str, str], status: int
) -> None:
    response = client_of(toy).post("/page/feedback", json={**MARK, "who": "Ada"}, headers=headers)
    assert response.status_code == status
    assert len(kept(toy)) == (status == 200)


def test_a_page_of_another_site_cannot_read(toy: Project) -> None:
    client = client_of(toy)
    for path in ("state", "source", "media", "compare", "difference"):
        params = {"record": IRON["id"], "question": QUESTION, "a": OLD, "b": NEW}
        headers = {"Sec-Fetch-Site": "cross-site"}
        response = client.get(f"/page/{path}", params=params, headers=headers)
        assert refusal(response, 403)["code"] == "wrong_origin"


def test_a_body_that_a_form_can_send_is_no_mark(toy: Project) -> None:
    body = json.dumps({**MARK, "who": "Ada"})
    headers = {**OWN, "Content-Type": "text/plain"}
    response = client_of(toy).post("/page/feedback", content=body, headers=headers)
    assert response.status_code == 400
    assert kept(toy) == []


@pytest.mark.parametrize(
    ("more", "preferred", "origin"),
    [
        ({}, (SAID[QUESTION], "I do not know."), "an abstention"),
        ({"better": "left over"}, (SAID[QUESTION], "I do not know."), "an abstention"),
        ({"is_right": False}, ("I do not know.", SAID[QUESTION]), "an abstention"),
        ({"is_right": False, "better": " 1539 "}, ("1539", SAID[QUESTION]), "a person"),
        (
            {"is_right": False, "question": CHINESE, "answer": "不对"},
            ("我不知道。", "不对"),
            "an abstention",
        ),
    ],
)
def test_a_mark_is_a_judgement(
    toy: Project, more: dict[str, Any], preferred: tuple[str, str], origin: str
) -> None:
    body = {**MARK, "who": " Ada ", "why": " because ", **more}
    answer = client_of(toy).post("/page/feedback", json=body, headers=OWN).json()
    (judgement,) = kept(toy)
    assert judgement.preferred() == preferred
    assert judgement.id == answer["id"]
    assert (judgement.who, judgement.why) == ("Ada", "because")
    assert judgement.origin == (f"{NEW}/train", origin)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"who": " "}, "who: write your name"),
        ({"answer": "I do not know."}, "mark it wrong and write the right answer"),
        ({"answer": "我不知道。", "is_right": False}, "mark it wrong and write the right answer"),
        ({"is_right": False, "better": SAID[QUESTION]}, "the same as the one that is marked wrong"),
        ({"answer": ""}, "answer: String should have at least 1 character"),
        ({"why": "x" * 2001}, "why: String should have at most 2000 characters"),
        ({"when": "now"}, "when: this server does not know it"),
        ({"is_right": "yes"}, "is_right: Input should be a valid boolean"),
    ],
)
def test_a_mark_that_says_nothing(toy: Project, more: dict[str, Any], message: str) -> None:
    body = {**MARK, "who": "Ada", **more}
    response = client_of(toy).post("/page/feedback", json=body, headers=OWN)
    assert message in refusal(response, 400)["message"]
    assert kept(toy) == []


def test_a_file_that_cannot_be_written_keeps_no_mark(toy: Project) -> None:
    path = toy.root / "data/raw/feedback.jsonl"
    path.unlink()
    path.mkdir()
    response = client_of(toy).post("/page/feedback", json={**MARK, "who": "Ada"}, headers=OWN)
    assert "the judgement was not kept" in refusal(response, 409)["message"]


def test_a_mark_is_taken_back_by_whoever_made_it(toy: Project) -> None:
    client = client_of(toy, tokens={"ada": TOKEN, "eve": TOKEN[::-1]})
    ada = {"Authorization": f"Bearer {TOKEN}"}
    eve = {"Authorization": f"Bearer {TOKEN[::-1]}"}
    name = client.post("/page/feedback", json=MARK, headers=ada).json()["id"]
    response = client.post("/page/withdraw", json={"id": name}, headers=eve)
    assert "not marked here since the server started" in refusal(response, 404)["message"]
    assert len(kept(toy)) == 1
    assert client.post("/page/withdraw", json={"id": name}, headers=ada).status_code == 200
    assert kept(toy) == []
    response = client.post("/page/withdraw", json={"id": name}, headers=ada)
    assert refusal(response, 404)["code"] == "mark_not_found"
    assert refusal(client.post("/page/withdraw", json={"id": "../x"}, headers=ada), 400)


def test_without_feedback_there_is_no_path_that_writes(toy: Project) -> None:
    client = client_of(toy, feedback=False)
    assert client.get("/page/state").json()["feedback"] is False
    assert client.post("/page/feedback", json=MARK, headers=OWN).status_code == 404
    assert client.post("/page/withdraw", json={"id": "0" * 16}, headers=OWN).status_code == 404


def test_marks_count_against_the_requests_of_a_minute(toy: Project) -> None:
    client = client_of(toy, requests_per_minute=1)
    body = {**MARK, "who": "Ada"}
    assert client.post("/page/feedback", json=body, headers=OWN).status_code == 200
    assert client.post("/page/feedback", json=body, headers=OWN).status_code == 429
