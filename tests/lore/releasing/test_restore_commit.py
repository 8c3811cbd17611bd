"""restore_commit: a commit is made without touching anything, and half-moved files are known."""

import pytest

from lore.releasing import restore_commit, rollback_steps, transaction
from lore.versions import version
from lore.versions.version import Version
from stages.core.project.errors import InputError
from tests.lore.released import Released


def test_files_that_git_had_moved_are_known_from_others(released: Released) -> None:
    first = released.git("rev-parse", "HEAD").strip()
    (released.root / "data/raw/新.csv").write_text("new\n")
    (released.root / "README.md").write_text("three\n")
    (released.root / "params.yaml").write_text("run: {}\n")
    (released.root / "dvc.yaml").chmod(0o755)  # in both commits with the same content
    released.commit()
    second = released.git("rev-parse", "HEAD").strip()
    released.git("reset", "-q", "--soft", first)
    (released.root / "params.yaml").write_text("an edit of neither commit\n")
    moved = list(restore_commit.files_moved(first, second))
    assert moved == [("README.md", False), ("data/raw/新.csv", True)]
    with transaction.opened() as journal:
        rollback_steps.move_files_back(journal, first, second)
    assert not (released.root / "data/raw/新.csv").exists()
    assert (released.root / "README.md").read_text() == "two\n"
    assert (released.root / "params.yaml").read_text() == "an edit of neither commit\n"


def test_nothing_here_is_touched_when_the_commit_is_made(released: Released) -> None:
    before = released.state()
    present = version.revision("HEAD")
    commit = restore_commit.create(present, version.revision("knowledge@v1.0.0"), "回滚\n")
    assert released.state() == before
    assert released.git("log", "-1", "--format=%B", commit).strip() == "回滚"
    files = restore_commit.changed_files(str(present.commit), commit)
    assert files == ["data/raw/facts.csv", "dvc.lock", "metrics/register.json", "params.yaml"]


def test_git_s_own_message_is_repeated(released: Released) -> None:
    nothing = Version("nothing", "nothing")
    nothing.stages = {}
    with pytest.raises(InputError, match=r"^git read-tree: .*; nothing was changed$"):
        restore_commit.create(nothing, nothing, "x")


def test_only_what_git_and_the_cache_lack_is_missing(released: Released) -> None:
    present = version.revision("HEAD")
    assert restore_commit.missing_outputs(present) == []
    digest = released.keep(released.root / "models/train/made.txt")
    released.cached(digest).unlink()
    assert restore_commit.missing_outputs(present) == [f"models/train/made.txt ({digest})"]
    listing = present.outs["models/train"]
    released.cached(listing).unlink()
    assert restore_commit.missing_outputs(present) == [f"models/train ({listing})"]
