"""drift: a version against the files here, on one screen, as JSON, and as an exit code."""

import json

import pytest

from lore.__main__ import main
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
