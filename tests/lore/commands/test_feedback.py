"""feedback: in the terminal, on the page, as a list, and taken back."""

import builtins
import re
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lore.__main__ import main
from lore.commands import feedback as command
from lore.feedback import file, page, person
from lore.feedback.session import Session, tally
from stages.core.project.errors import InputError
from stages.core.records import feedback
from tests.lore.knowledge import Project, answer, fact

METALS = [fact(f"metal {place}", str(place * 10)) for place in range(6)]
Typed = Callable[[list[str]], None]


@pytest.fixture
def answered(project: Project) -> Project:
    """Two versions. In each, the student answers other than the tuned model, but for one question."""
    for tag, said in (("a", "Hot."), ("b", "Very hot.")):
        rows = [answer(row) for row in METALS]
        rows += [answer(row, f"{said} {place}", "distill") for place, row in enumerate(METALS[1:])]
        rows.append(answer(METALS[0], None, "distill"))
        project.run(METALS, rows)
        project.commit(tag)
    return project


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Let a person type these lines. Behind them the input ends."""

    def give(lines: list[str]) -> None:
        rest: Iterator[str] = iter(lines)

        def read(prompt: str = "") -> str:
            print(prompt, end="")
            try:
                return next(rest)
            except StopIteration:
                raise EOFError from None

        monkeypatch.setattr(builtins, "input", read)

    return give


@pytest.mark.usefixtures("answered")
def test_in_the_terminal(typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    typed(["1", "clear", "7", "0", "", "s", "2"])
    assert main(["feedback", "--who", "ada"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("5 pairs. 1: the first is better")
    shown, summary = said.split("judgements added to")
    assert "train" not in shown
    assert "distill" not in shown
    assert "3 \n" not in summary
    assert shown.rstrip().endswith("3")
    made = feedback.read(file.PATH).judgements
    assert [one.better for one in made] == ["first", "neither", "second"]
    assert [one.why for one in made] == ["clear", "", ""]
    assert "  neither: 1\n" in summary
    # The next time, only what was not judged is shown.
    typed(["q"])
    assert main(["feedback", "--who", "ada"]) == 0
    assert capsys.readouterr().out.startswith("2 pairs.")
    assert main(["feedback", "--who", "bob", "--number", "1"]) == 0
    assert capsys.readouterr().out.startswith("1 pairs.")


@pytest.mark.usefixtures("answered")
def test_two_versions(typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    typed(["1", ""])
    choice = ["--versions", "a", "b", "--models", "distill", "distill", "--who", "ada"]
    assert main(["feedback", *choice]) == 0
    said = capsys.readouterr().out
    assert said.startswith("5 pairs.")
    (one,) = feedback.read(file.PATH).judgements
    assert sorted(one.origin)[0].startswith("distill of a")
    assert main(["feedback", "--versions", "a", "a"]) == 1
    assert "both sides are train of a" in capsys.readouterr().err
    assert main(["feedback", "--versions", "a", "b"]) == 1
    assert "nothing to judge: no answers differ; name other variants" in capsys.readouterr().err


@pytest.mark.usefixtures("answered")
def test_what_is_wrong_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["feedback", "--models", "train", "base"]) == 1
    said = capsys.readouterr().err
    assert "no answers of 'base'; there are those of distill, train" in said
    for wrong, message in (
        (["--number", "0"], "0 is no number of pairs; write a whole number from 1"),
        (["--port", "65536"], "65536 is no port; write a whole number up to 65535"),
    ):
        with pytest.raises(SystemExit):
            main(["feedback", *wrong])
        assert message in capsys.readouterr().err


@pytest.mark.usefixtures("answered")
def test_listed_and_withdrawn(typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    typed(["1", "clear\x1b[2J", "0"])
    main(["feedback", "--who", "ada"])
    with file.PATH.open("a") as stream:
        stream.write("{broken\x1b\n")
    capsys.readouterr()
    assert main(["feedback", "--list"]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "neither is better" in said
    assert r"(clear\x1b[2J)" in said
    assert r"line 3 is set aside: no JSON: {broken\x1b" in said
    assert "2 judgements, 0 replaced by later ones, 0 withdrawn, 1 lines set aside\n" in said
    name = said.split()[0]
    assert main(["feedback", "--withdraw", name, "--why", "a slip", "--who", "ada"]) == 0
    assert f"withdrawn: {name}, ada on" in capsys.readouterr().out
    main(["feedback", "--list"])
    assert capsys.readouterr().out.endswith(
        "1 judgements, 0 replaced by later ones, 1 withdrawn, 1 lines set aside\n"
    )
    typed(["q"])
    assert main(["feedback", "--who", "ada"]) == 0
    assert "line 2: set aside: no JSON" in capsys.readouterr().err


def test_pairs_of_a_file_on_the_page(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page ends by itself once every pair is through."""
    assert project.root.is_dir()
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"question": "铁?", "first": "甲", "second": "乙"}\n', encoding="utf-8")
    opened: list[str] = []
    browsers: list[threading.Thread] = []

    def judge(server: page.Server) -> None:
        for path, body in (("judge", b'{"number": 0, "key": "1", "why": ""}'), ("pair", None)):
            request = urllib.request.Request(
                server.address + path, body, {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=30) as reply:
                opened.append(reply.read().decode())

    class Judged(page.Server):
        def serve_forever(self, poll_interval: float = 0.5) -> None:
            browsers.append(threading.Thread(target=judge, args=(self,)))
            browsers[0].start()
            super().serve_forever(poll_interval)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "Server", Judged)
        assert main(["feedback", "--pairs", str(pairs), "--page", "--who", "ada"]) == 0
    # The server ends with its last answer, which the browser may still be reading.
    browsers[0].join(30)
    said = capsys.readouterr().out
    assert re.match(r"open http://127\.0\.0\.1:\d+/[\w-]{32}/\n", said)
    assert opened == ['{"taken": true}', '{"total": 1, "judged": 1}']
    assert "1 judgements added to data/raw/feedback.jsonl\n" in said


def test_who_judges(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.git("config", "user.name", "Ada")
    assert command.name_of_the_person() == "Ada"
    monkeypatch.setattr(person.git, "read_text", lambda *_: None)
    monkeypatch.setattr(person.getpass, "getuser", lambda: "login")
    assert command.name_of_the_person() == "login"

    def nobody() -> str:
        raise OSError

    monkeypatch.setattr(person.getpass, "getuser", nobody)
    assert person.name_here() == ""
    with pytest.raises(InputError, match="nobody is named; write who judges: --who NAME"):
        command.name_of_the_person()


def test_the_tally_says_whose_answers_were_preferred() -> None:
    row = {
        "question": "Q",
        "first": "a",
        "second": "b",
        "who": "ada",
        "when": "2026-11-30T16:45:00Z",
    }
    made = []
    for better, origin in (
        ("first", ["x", "y"]),
        ("second", ["y", "x"]),
        ("neither", []),
        ("first", []),
    ):
        made.append(feedback.judgement_of(row | {"better": better, "from": origin}))
    assert tally(made) == [("x", 2), ("neither", 1), ("unknown", 1)]
    assert Session([], "ada").current() is None
    assert not Session([], "ada").judge(0, "first", "")
    assert not Session([], "ada").skip(0)
