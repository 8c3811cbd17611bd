"""Versions: the alias says which one is served, and its files come from DVC's cache, whatever lies here."""

import json
import shutil
from pathlib import Path

import pytest

from lore.releasing import transaction
from lore.serving import versions
from lore.serving.versions import Finder
from lore.versions.version import revision
from stages.core.mlflow import registry
from stages.core.project.errors import InputError, ModelError
from tests.lore.released import MODEL, Released

OLD, NEW = "knowledge@v1.0.0", "knowledge@v1.1.0"


def test_the_alias_names_a_release(released: Released) -> None:
    target = versions.alias_target(Finder())
    assert target is not None
    assert (target.tag, target.name) == (NEW, NEW)
    assert versions.commit_of(target) == revision("HEAD").commit
    registry.move_alias(MODEL, "champion", "1")
    target = versions.alias_target(Finder())
    assert target is not None
    assert target.name == OLD


def test_without_an_alias_there_is_no_target(released: Released) -> None:
    registry.move_alias(MODEL, "champion", None)
    assert versions.alias_target(Finder()) is None


def test_a_person_names_a_version(released: Released) -> None:
    target = versions.named_target("1.0.0", Finder())
    assert (target.tag, target.name) == (OLD, OLD)
    assert target.identity == Finder().identity_of(revision(OLD))
    commit = str(revision(OLD).commit)
    by_commit = versions.named_target(commit, Finder())
    assert (by_commit.tag, by_commit.key) == (None, target.key)
    with pytest.raises(InputError, match=r"9\.9\.9"):
        versions.named_target("9.9.9", Finder())


def test_without_an_act_at_work_there_is_nothing_before_it(released: Released) -> None:
    assert versions.target_before_act(Finder()) is None
    (released.root / ".git" / transaction.JOURNAL_FILE).write_text("no journal")
    assert versions.target_before_act(Finder()) is None


def test_an_alias_of_no_commit_here(released: Released) -> None:
    with pytest.raises(InputError, match=r"no commit here has the identity ffffffffffff"):
        Finder().find("f" * 64)


def test_the_workspace_has_an_identity_where_it_is_as_in_dvc_lock(released: Released) -> None:
    target = versions.workspace_target()
    assert target.identity == Finder().identity_of(revision("HEAD"))
    assert target.tag == NEW
    (released.root / "models/distill/made.txt").unlink()
    (released.root / "models/distill/made.txt").write_text("edited\n")
    target = versions.workspace_target()
    assert (target.identity, target.tag, target.name) == (None, None, "workspace")
    assert versions.commit_of(target) is None


def test_files_of_a_version_do_not_follow_the_folder(released: Released, tmp_path: Path) -> None:
    target = Finder().find(str(Finder().identity_of(revision(OLD))))
    root = versions.laid_out(target, "distill", tmp_path / "private")
    shutil.rmtree(released.root / "models")
    assert (root / "models/distill/made.txt").read_text() == f"distill {OLD}\n"
    assert (root / "data/clean/records.parquet").is_file()
    assert not (root / "models/base").exists()


def test_an_object_that_is_lost_or_damaged_refuses_the_version(
    released: Released, tmp_path: Path
) -> None:
    version = revision(OLD)
    target = Finder().find(str(Finder().identity_of(version)))
    listing = version.cache.listing(version.outs["models/distill"], "the list")
    path = version.cache.path(listing["made.txt"])
    path.chmod(0o644)
    path.write_text("other\n")
    with pytest.raises(InputError, match=r"models/distill/made.txt of .*: damaged in DVC's cache"):
        versions.laid_out(target, "distill", tmp_path / "a")
    path.unlink()
    target.version.cache.sound.clear()
    with pytest.raises(InputError, match=r"models/distill/made.txt of .*: missing in DVC's cache"):
        versions.laid_out(target, "distill", tmp_path / "b")
    version.cache.path(version.outs["models/distill"]).unlink()
    with pytest.raises(InputError, match=r"models/distill of .*: not in DVC's cache"):
        versions.laid_out(target, "distill", tmp_path / "c")


def test_a_variant_that_the_version_lacks(released: Released, tmp_path: Path) -> None:
    target = Finder().find(str(Finder().identity_of(revision(OLD))))
    with pytest.raises(ModelError, match="it has no models/align, which the variant align needs"):
        versions.laid_out(target, "align", tmp_path)


def test_a_transaction_at_work_is_seen(released: Released) -> None:
    journal = released.root / ".git" / transaction.JOURNAL_FILE
    assert not versions.is_moving()
    plan = {
        "command": "rollback", "title": "the rollback", "before": "a", "after": "b",
        "model": MODEL, "alias": "champion", "number": "1", "alias_before": "2", "token": "t",
    }  # fmt: skip
    for step in range(3):
        journal.write_text(json.dumps({"plan": plan, "step": step}))
        assert versions.is_moving()
    journal.write_text(json.dumps({"plan": plan, "step": 3}))
    assert not versions.is_moving()  # cut off behind its last step, so it is complete
    journal.write_text("{")
    assert versions.is_moving()
