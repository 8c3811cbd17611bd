"""The page: only with the token, only from this machine, and it never says who answered what."""

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from lore.feedback import file
from lore.feedback.page import HOST, Server
from lore.feedback.pairs import Pair
from lore.feedback.session import Session
from stages.core.project.errors import InputError
from stages.core.records import feedback

ROOT = Path(__file__).parents[3]
EVIL = "<img src=x onerror=alert(1)>"
PAIRS = [
    Pair("When does iron melt?", EVIL, "At 1538 °C.", ("secret-a", "secret-b")),
    Pair("铁的熔点?", "一五三八度", "不知道", ("secret-b", "secret-a")),
]
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/raw").mkdir(parents=True)
    with Server(Session(PAIRS, "ada"), 0) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def asked(
    server: Server, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, str, dict[str, str]]:
    connection = HTTPConnection(HOST, server.server_address[1], timeout=30)
    sent = body if body is None or isinstance(body, str) else json.dumps(body)
    connection.request(method, path, sent, headers or {})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text, dict(answer.headers)


def choice(server: Server, number: int, key: str, why: str = "") -> int:
    body = {"number": number, "key": key, "why": why}
    return asked(server, "POST", f"/{server.token}/judge", body, JSON)[0]


def test_the_page_allows_its_own_script_alone_and_shows_texts_as_text(server: Server) -> None:
    assert server.address == f"http://127.0.0.1:{server.server_address[1]}/{server.token}/"
    status, text, headers = asked(server, "GET", f"/{server.token}/")
    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    nonce = re.search(r"script-src 'nonce-([^']+)'", policy)
    assert nonce
    assert f'<script nonce="{nonce[1]}">' in text
    assert text.count("<script") == 1
    assert "textContent" in text
    assert not re.search(r"innerHTML|insertAdjacent|document\.write|eval\(|https?://", text)
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"


def test_both_languages_say_the_same_things(server: Server) -> None:
    _, text, _ = asked(server, "GET", f"/{server.token}/")
    blocks = re.search(r"en: \{(.*?)\n  \},\n  zh: \{(.*?)\n  \},", text, re.DOTALL)
    assert blocks
    keys = [re.findall(r"(?:, |\n {4})(\w+): ", block) for block in blocks.groups()]
    assert len(keys[0]) == 10
    assert keys[0] == keys[1]


def test_a_judgement_is_kept_and_who_answered_is_never_sent(server: Server) -> None:
    status, text, _ = asked(server, "GET", f"/{server.token}/pair")
    assert status == 200
    assert json.loads(text) == {
        "total": 2, "judged": 0, "number": 0, "question": "When does iron melt?", "first": EVIL,
        "second": "At 1538 °C.",
    }  # fmt: skip
    assert choice(server, 0, "2", " clear ") == 200
    (made,) = feedback.read(file.PATH).judgements
    assert (made.better, made.why, made.who) == ("second", "clear", "ada")
    assert made.origin == ("secret-a", "secret-b")
    # A second click on the same pair is no judgement of the next one.
    assert choice(server, 0, "1") == 409
    assert choice(server, 1, "s") == 200
    _, text, _ = asked(server, "GET", f"/{server.token}/pair")
    assert json.loads(text) == {"total": 2, "judged": 1}
    assert len(feedback.read(file.PATH).judgements) == 1


@pytest.mark.parametrize("path", ["/", "/pair", "/wrong/pair", "/wrong/", "//pair", "/%00/"])
def test_without_the_token_nothing_is_told(server: Server, path: str) -> None:
    status, text, _ = asked(server, "GET", path)
    assert status == 403
    assert text in ("use the address that lore feedback printed",)
    assert asked(server, "POST", "/wrong/judge", {}, JSON)[0] == 403


def test_another_host_is_refused(server: Server) -> None:
    """A page of another site can make a browser ask this port under its own name."""
    for host in ("evil.example", f"evil.example:{server.server_address[1]}", HOST):
        status, text, _ = asked(server, "GET", f"/{server.token}/pair", headers={"Host": host})
        assert (status, text) == (403, "another host")


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ({"number": 0, "key": "1", "why": ""}, {}, 415),
        ({"number": 0, "key": "1", "why": ""}, {"Content-Type": "text/plain"}, 415),
        ("{", JSON, 400),
        ("[" * 50_000, JSON, 400),
        ({"number": 0, "key": "3", "why": ""}, JSON, 400),
        ({"number": 0, "key": ["1"], "why": ""}, JSON, 400),
        ({"number": True, "key": "1", "why": ""}, JSON, 400),
        ({"number": 0, "key": "1"}, JSON, 400),
        ({"number": 0, "key": "1", "why": 4}, JSON, 400),
        ({"number": 7, "key": "1", "why": ""}, JSON, 409),
        ({"number": 0, "key": "1", "why": "x" * 70_000}, JSON, 413),
        ({"number": 0, "key": "1", "why": "\ud800"}, JSON, 500),
    ],
)
def test_what_is_no_judgement_is_refused(
    server: Server, body: Any, headers: dict[str, str], status: int
) -> None:
    assert asked(server, "POST", f"/{server.token}/judge", body, headers)[0] == status
    assert not file.PATH.exists()
    _, text, _ = asked(server, "GET", f"/{server.token}/pair")
    assert json.loads(text)["number"] == 0


@pytest.mark.skipif(
    shutil.which("node") is None, reason="the page's script runs in node, which is not here"
)
def test_the_script_of_the_page() -> None:
    """Keys, buttons, both languages, a full disk, and a key that is pressed twice."""
    script = Path(__file__).with_name("page_script.js")
    template = ROOT / "lore/rendering/templates/feedback.html"
    done = subprocess.run(
        ["node", script, template], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.stdout, done.stderr) == ("all as it should be\n", "")


def test_other_paths_and_a_taken_port(server: Server) -> None:
    assert asked(server, "GET", f"/{server.token}/other")[0] == 404
    assert asked(server, "GET", f"/{server.token}/judge")[0] == 404
    with pytest.raises(InputError, match=r"cannot be used .*name another one with --port"):
        Server(Session(PAIRS, "ada"), server.server_address[1])
