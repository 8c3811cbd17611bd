"""drift: a version against the files here, on one screen, as JSON, and as an exit code."""

import json
from pathlib import Path

import pytest

from lore.__main__ import main
from lore.commands import drift
from tests.lore.knowledge import Project, fact


def facts(shift: float) -> list[dict[str, object]]:
    return [fact(f"metal {place}", str(place * 10 + shift)) for place in range(30)]


@pytest.fixture
def drifting(project: Project) -> Project:
    """Two versions: melting points, and the same a thousand degrees higher."""
    for tag, shift in (("a", 0), ("b", 1000)):
        project.run(facts(shift))
        project.commit(tag)
    return project


@pytest.mark.usefixtures("drifting")
def test_an_alarm_names_the_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drift", "a", "b", "--exit-code"]) == 3
    said = capsys.readouterr().out
    assert said.startswith("Drift from a (")
    assert "Alarms: 1\n" in said
    assert "elements · melting point, all values" in said
    assert "elements: elements.sql#metal 29/melting point" in said
    assert main(["drift", "a", "b"]) == 0


@pytest.mark.usefixtures("drifting")
def test_the_same_version_has_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drift", "b", "--exit-code"]) == 0
    assert "Alarms: 0\n  none\n" in capsys.readouterr().out


@pytest.mark.usefixtures("drifting")
def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drift", "a", "b", "--json", "--alarm", "0.001"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["alarm"], document["alarms"]) == (0.001, 1)
    assert {one["test"] for one in document["comparisons"]} == {"numbers", "counts"}


@pytest.mark.usefixtures("drifting")
def test_a_version_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drift", "nowhere"]) == 1
    assert "nowhere" in capsys.readouterr().err


def test_a_level_is_a_probability(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["drift", "a", "--alarm", "1"])
    assert "1 is no level; write a number between 0 and 1" in capsys.readouterr().err


@pytest.mark.usefixtures("drifting")
def test_questions_of_a_server_are_compared_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = [f"When does metal {number} melt?" for number in range(30)]
    monkeypatch.setattr(drift, "trained_questions", lambda version: trained)
    log = tmp_path / "asked.jsonl"
    events = [
        {"question": f"铁{number}贵不贵?", "answer": "3", "fact": None} for number in range(30)
    ]
    log.write_text("".join(json.dumps(event) + "\n" for event in events))
    assert main(["drift", "b", "--asked", str(log), "--exit-code"]) == 3
    said = capsys.readouterr().out
    assert "asked · wordings, against those trained" in said
    assert "asked: line" in said
    assert main(["drift", "b", "--asked", str(tmp_path / "nothing.jsonl")]) == 1
    assert "nothing.jsonl: not found" in capsys.readouterr().err
