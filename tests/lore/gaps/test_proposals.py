"""proposals: drafts never copy a probe, tables hold no formula, and a branch changes nothing here."""

import csv
import io
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lore.gaps import proposals
from lore.gaps.failed import WeakWording
from lore.gaps.missing import Missing
from lore.gaps.unanswered import Theme
from stages.augment.readings import word_set
from stages.augment.wordings import Asked, Attribute, Probe, Train
from stages.core.project.errors import InputError

LACKING = Missing("tin", "density", "mass", 0.9, 11, "g/cm³")
WEAK = WeakWording("density", "How heavy is {subject}?", "stated", 0.1, 0.3, 10, 0.9)


def attribute(name: str, questions: list[str], probe: list[str]) -> Attribute:
    return Attribute(
        terms=[],
        answer=f"The {name} of {{subject}} is {{value}}.",
        train=Train(statements=[], questions=questions),
        valid=Asked(questions=[f"Say the {name} of {{subject}}."]),
        probe=Probe(questions=probe),
        names=[name],
    )


ATTRIBUTES = {
    "mass": attribute(
        "mass",
        [
            "What is the mass of {subject}?",
            "Tell me the mass of {subject}.",
            "How heavy?",
            "Say mass.",
        ],
        ["Which mass has {subject}?"],
    ),
    "colour": attribute("colour", ["Tell me the colour of {subject}."], ["Colour of {subject}?"]),
    "density": attribute(
        "density",
        ["What is the density of {subject}?"],
        ["How heavy is {subject}?", "Say density."],
    ),
}


def test_a_draft_is_a_wording_of_another_attribute_and_never_a_known_one() -> None:
    found = proposals.drafts("density", ATTRIBUTES)
    # "What is the … of" is a train wording already, "Say …" a probe, and "How heavy?" names no attribute.
    assert found == ["Tell me the density of {subject}."]
    known = {word_set(wording.template) for wording in ATTRIBUTES["density"].wordings()}
    assert known.isdisjoint(word_set(draft) for draft in found)


def test_each_kind_of_gap_has_its_file_and_others_have_none() -> None:
    assert set(proposals.files_of([], [], {}, [], [])) == {"README.md"}
    side = {"normalised": "5 m", "source": "a", "locator": "a.csv#L2"}
    dispute = {"subject": "tin", "attribute": "length", "winner": side, "loser": side}
    theme = Theme("toxic", ("=toxic?", "How toxic is tin?"))
    files = proposals.files_of([LACKING], [WEAK], ATTRIBUTES, [dispute], [theme])
    assert files["rows.csv"] == "subject,attribute,value,unit,source\ntin,density,,g/cm³,\n"
    assert "Tell me the density of {subject}." in files["wordings.yaml"]
    # Whoever copies a probe would measure nothing any more.
    assert "How heavy is" not in files["wordings.yaml"]
    assert "tin,length,5 m,a: a.csv#L2,5 m,a: a.csv#L2," in files["contradictions.csv"]
    assert "toxic,'=toxic?," in files["questions.csv"]
    assert files == proposals.files_of([LACKING], [WEAK], ATTRIBUTES, [dispute], [theme])


def test_an_attribute_without_wordings_gets_no_draft() -> None:
    text = proposals.wordings_to_add([WEAK], {})
    assert "train_drafts: []" in text


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\0")), min_size=1))
def test_a_table_gives_its_cells_back_and_begins_no_formula(cells: list[str]) -> None:
    text = proposals.table(["c"] * len(cells), [cells])
    _, read = list(csv.reader(io.StringIO(text, newline="")))
    for cell, back in zip(cells, read, strict=True):
        assert back in (cell, f"'{cell}")
        assert not back.startswith(("=", "@"))
    assert proposals.harmless("-38.8") == "-38.8"
    assert proposals.harmless("-1+1") == "'-1+1"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit, in which the project is a folder."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "t")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "t@example.org")
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    git("init", "-q", "-b", "main", str(tmp_path))
    with pytest.raises(InputError, match="no commit here yet; git commit first"):
        proposals.write_branch("gaps", {}, "m")
    (project / "params.yaml").write_text("a: 1\n")
    git("add", "-A")
    git("commit", "-qm", "first")
    return project


def git(*command: str) -> str:
    done = subprocess.run(["git", *command], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_branch_holds_the_files_and_nothing_here_changes(repository: Path) -> None:
    (repository / "params.yaml").write_text("a: 2\n")
    (repository / "staged.txt").write_text("x")
    git("add", "staged.txt")
    before = git("status", "--porcelain")
    commit = proposals.write_branch("gaps/today", {"rows.csv": "subject\n铁\n"}, "Proposals")
    assert git("status", "--porcelain") == before
    assert git("rev-parse", "--abbrev-ref", "HEAD") == "main"
    assert git("rev-parse", "gaps/today") == commit
    assert git("show", f"{commit}:project/proposals/rows.csv") == "subject\n铁"
    assert git("show", f"{commit}:project/params.yaml") == "a: 1"
    assert git("rev-parse", f"{commit}^") == git("rev-parse", "HEAD")


def test_a_branch_is_never_written_over(repository: Path) -> None:
    assert repository
    commit = proposals.write_branch("gaps", {"a": "1"}, "m")
    with pytest.raises(
        InputError, match=r"--branch gaps: is there already; .* git branch --delete"
    ):
        proposals.write_branch("gaps", {"a": "2"}, "m")
    assert git("rev-parse", "gaps") == commit
    with pytest.raises(InputError, match=r"git check-ref-format: .*; name the branch otherwise"):
        proposals.write_branch("-x..", {"a": "2"}, "m")
