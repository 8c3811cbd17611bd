"""merge-driver: git calls it in a real merge, DVC agrees with what it kept, and every refusal says what to do."""

import copy
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lore.commands import merge_driver
from lore.merging.dvc_lock import entries, in_flow_order, merge
from lore.planning.timing import seconds
from tests.lore import merge_project
from tests.lore.knowledge import IDENTITY, Project, fact

ROOT = Path(__file__).parents[3]
Lore = Callable[..., str]

PIPELINE = """\
stages:
  words:
    cmd: sort raw.txt > words.txt
    deps: [raw.txt]
    outs: [words.txt]
  count:
    cmd: (wc -l < words.txt; grep count params.yaml) > count.txt
    deps: [words.txt]
    params: [count]
    outs:
      - count.txt:
          cache: false
  upper:
    cmd: (tr a-z A-Z < words.txt; grep upper params.yaml) > upper.txt
    deps: [words.txt]
    params: [upper]
    outs: [upper.txt]
  both:
    cmd: cat count.txt upper.txt > both.txt
    deps: [count.txt, upper.txt]
    outs: [both.txt]
"""
PARAMS = "count: 1\n\n\n\nupper: 1\n"


class Shell:
    """A folder with real git and DVC."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = (
            os.environ | IDENTITY | {"PYTHONPATH": str(ROOT), "DVC_NO_ANALYTICS": "1"}
        )
        root.mkdir()
        self("git", "init", "-q", "-b", "main")
        self.dvc("init", "-q")
        self.dvc("config", "core.analytics", "false")

    def __call__(self, *command: str, code: int = 0) -> str:
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def dvc(self, *command: str) -> str:
        return self(sys.executable, "-m", "dvc", *command)

    def lore(self, *command: str) -> str:
        return self(sys.executable, "-m", "lore", *command)

    def write(self, **files: str) -> None:
        for name, text in files.items():
            (self.root / name.replace("_", ".")).write_text(text)

    def save(self, message: str) -> None:
        """Run what changed and commit it."""
        self.dvc("repro", "-q")
        self("git", "add", "-A")
        self("git", "commit", "-qm", message)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A project of four stages, run and committed, with the driver installed."""
    made = Shell(tmp_path / "project")
    made.write(raw_txt="b\na\n", dvc_yaml=PIPELINE, params_yaml=PARAMS)
    made.lore("merge-driver", "--install")
    made.save("first")
    return made


@pytest.mark.slow
def test_a_merge_keeps_what_holds_and_dvc_runs_the_rest_only(shell: Shell) -> None:
    shell("git", "checkout", "-qb", "other")
    shell.write(params_yaml=PARAMS.replace("upper: 1", "upper: 2"))
    shell.save("other setting")
    shell("git", "checkout", "-q", "main")
    shell.write(params_yaml=PARAMS.replace("count: 1", "count: 2"))
    shell.save("setting")
    (shell.root / "metrics").mkdir()
    (shell.root / "metrics/timing.json").write_text(json.dumps({"both": {"seconds": 407.2}}))
    foretold = shell.lore("merge-driver", "--dry-run", "main", "other").splitlines()
    assert [line.split(None, 1)[1] for line in foretold[1:5]] == [
        "kept, of both",
        "kept, of A",
        "kept, of B",
        "runs again",
    ]
    said = shell("git", "merge", "-q", "--no-edit", "other")
    assert (
        "dvc.lock: 1 of 4 stages must run again: both 407 s\nthe outputs of the others come with dvc checkout"
        in said
    )
    assert "\n".join(foretold[-2:]) in said
    shell.dvc("checkout", "--allow-missing")
    assert list(json.loads(shell.dvc("status", "--json"))) == ["both"]
    assert shell.dvc("repro", "--no-run-cache").count("Running stage") == 1
    shell("git", "commit", "-qam", "merged")
    assert json.loads(shell.dvc("status", "--json")) == {}


@pytest.mark.slow
def test_data_changed_on_both_sides_runs_everything_that_reads_it(shell: Shell) -> None:
    shell("git", "checkout", "-qb", "other")
    shell.write(raw_txt="b\na\n\n\n\nc\n")
    shell.save("end")
    shell("git", "checkout", "-q", "main")
    shell.write(raw_txt="0\nb\na\n")
    shell.save("start")
    said = shell("git", "merge", "-q", "--no-edit", "other", code=1)
    assert "4 of 4 stages must run again: words, count, upper, both" in said
    assert (shell.root / "dvc.lock").read_text() == "schema: '2.0'\nstages: {}\n"
    shell("git", "checkout", "--theirs", "raw.txt", "count.txt")
    assert shell.dvc("repro", "--no-run-cache").count("Running stage") == 4


@pytest.mark.slow
def test_a_clone_with_a_conflict_in_dvc_lock_is_named(shell: Shell) -> None:
    lock = (shell.root / "dvc.lock").read_text()
    shell("git", "checkout", "-qb", "other")
    shell.write(dvc_lock=lock + "<<<<<<< HEAD\n=======\n>>>>>>> main\n")
    shell("git", "commit", "-qam", "broken")
    shell("git", "checkout", "-q", "main")
    shell.write(dvc_lock=lock + "\n")
    shell("git", "commit", "-qam", "blank line")
    said = shell("git", "merge", "-q", "--no-edit", "other", code=1)
    place = f"dvc.lock of theirs, line {lock.count(chr(10)) + 1}"
    assert (
        f"InputError: {place}: conflict markers of an earlier merge were committed; on that side take one"
        in said
    )
    assert "CONFLICT (content): Merge conflict in dvc.lock" in said
    assert (shell.root / "dvc.lock").read_text() == lock + "\n"


def test_installing_twice_changes_nothing_more(project: Project, lore: Lore) -> None:
    (project.root / ".gitattributes").write_text("*.png binary")
    said = lore("merge-driver", "--install").splitlines()
    assert said[0].startswith(".git/config: set merge.dvclock.name = ")
    assert said[1].endswith("-m lore merge-driver %O %A %B %P")
    assert (
        said[2]
        == ".gitattributes: added dvc.lock merge=dvclock; commit it, so that other clones have it too"
    )
    assert (project.root / ".gitattributes").read_text() == "*.png binary\ndvc.lock merge=dvclock\n"
    config = (project.root / ".git/config").read_text()
    assert lore("merge-driver", "--install") == "installed already: nothing to do\n"
    assert (project.root / ".git/config").read_text() == config


def test_a_merge_without_a_difference_leaves_the_file(tmp_path: Path, lore: Lore) -> None:
    files = [tmp_path / name for name in "abc"]
    for file in files:
        file.write_text("schema: '2.0'   # mine\nstages: {}\n")
    assert (
        lore("merge-driver", *map(str, files))
        == "dvc.lock: neither side has a stage in it, so nothing is kept; dvc repro makes it\n"
    )
    assert "# mine" in files[1].read_text()
    files[0].write_text("")  # no common ancestor
    assert lore("merge-driver", *map(str, files), "sub/dvc.lock").startswith("dvc.lock: neither")


def test_what_it_writes_is_what_dvc_writes(tmp_path: Path) -> None:
    lock = ROOT / "dvc.lock"
    text = lock.read_text(encoding="utf-8")
    assert merge_driver.as_yaml(merge_driver.document(text, "dvc.lock")) == text
    ours = tmp_path / "ours"
    ours.write_text("")
    empty = tmp_path / "empty"
    empty.write_text("")
    merge_driver.merge_files(empty, ours, lock, Path("dvc.lock"))
    assert ours.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "stages: [1",
            "dvc.lock of theirs: not readable as YAML: .* restore it from an earlier commit, then dvc repro",
        ),
        (
            "stages: {}",
            "dvc.lock of theirs: not a dvc.lock of schema 2.0; restore it from an earlier commit",
        ),
        ("schema: '2.0'\nstages: [1]", "not a dvc.lock of schema 2.0"),
        ("schema: '2.0'\nstages: {a: 1}", "not a dvc.lock of schema 2.0"),
        ("schema: '2.0'\nstages: {a: {outs: [{md5: x}]}}", "not a dvc.lock of schema 2.0"),
        ("schema: '2.0'\nstages: {a: {deps: {path: x}}}", "not a dvc.lock of schema 2.0"),
        ("schema: '2.0'\nstages: {a: {params: {p: [x]}}}", "not a dvc.lock of schema 2.0"),
        ("schema: '2.0'\nstages: {a: {params: [p]}}", "not a dvc.lock of schema 2.0"),
        ("schema: '2.0'\nstages: {1: {}}", "not a dvc.lock of schema 2.0"),
        ("[" * 5000, "nested too deep to be a dvc.lock"),
        (
            "schema: '2.0'\ndatasets: [2]",
            r"dvc.lock: both sides changed datasets; git checkout --ours dvc.lock, then dvc update",
        ),
    ],
)
def test_what_is_no_lock_is_refused(tmp_path: Path, text: str, message: str) -> None:
    base, ours, theirs = (tmp_path / name for name in ("base", "ours", "theirs"))
    base.write_text("")
    ours.write_text("schema: '2.0'\ndatasets: [1]\n")
    theirs.write_text(text)
    with pytest.raises(merge_driver.InputError, match=message):
        merge_driver.merge_files(base, ours, theirs, Path("dvc.lock"))
    assert ours.read_text() == "schema: '2.0'\ndatasets: [1]\n"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        merge_driver.InputError,
        match=r"dvc.lock of ours \(.*none\) cannot be read: .*; git checkout it",
    ):
        merge_driver.text_of(tmp_path / "none", "dvc.lock of ours")


def test_revisions_that_do_not_exist_are_refused(project: Project, lore: Lore) -> None:
    project.version("a", [fact("iron", "1538")])
    assert "b: no such revision" in lore("merge-driver", "--dry-run", "a", "b", code=1)
    assert "of 1 stages" not in lore("merge-driver", "--dry-run", "a", "a")


def test_outside_a_repository_it_cannot_be_installed(
    tmp_path: Path, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no git repository here; run from the project's root folder" in lore(
        "merge-driver", "--install", code=1
    )


def test_a_git_that_cannot_write_is_named(project: Project, lore: Lore) -> None:
    (project.root / ".git/config.lock").write_text("")
    assert "make .git/config writable, then run lore merge-driver --install" in lore(
        "merge-driver", "--install", code=1
    )


def test_a_wrong_command_line_shows_the_three_ways(capsys: pytest.CaptureFixture[str]) -> None:
    from lore.__main__ import main

    assert main(["merge-driver", "a"]) == 2
    assert (
        "usage: lore merge-driver --install, or --dry-run A B, or BASE OURS THEIRS [PATH]"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}', '{"a": {"seconds": "x"}}'])
def test_a_price_that_cannot_be_read_is_left_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "timing.json").write_text(text)
    assert seconds(tmp_path / "timing.json") == {}


def test_it_loads_no_numeric_library(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_text("")
    code = (
        "import sys; from lore.__main__ import main; main(['merge-driver', 'a', 'b', 'c']);"
        "print([name for name in ('torch', 'pandas', 'numpy', 'mlflow', 'dvc') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[]"


def rerun(
    stages: dict[str, Any], change: Callable[[dict[str, Any]], None], mark: str
) -> dict[str, Any]:
    """The dvc.lock of this project after a change and a `dvc repro` that made something else of it everywhere downstream."""
    new = copy.deepcopy(stages)
    change(new)
    made = {}
    for stage in stages.values():
        made |= {out["path"]: out["md5"] for out in stage["outs"]}
    # DVC writes a new stage at the end of dvc.lock, wherever it runs.
    order = in_flow_order({name: entry.declared() for name, entry in entries(new).items()})
    assert len(order) == len(new)
    for name in order:
        stage = new[name]
        for dep in stage["deps"]:
            dep["md5"] = made.get(dep["path"], dep["md5"])
        if stage["deps"] != stages[name]["deps"] or stage["params"] != stages[name]["params"]:
            for out in stage["outs"]:
                out["md5"] = mark + out["md5"][1:]
        made |= {out["path"]: out["md5"] for out in stage["outs"]}
    return new


def test_this_projects_own_pipeline() -> None:
    base = merge_driver.document((ROOT / "dvc.lock").read_text(encoding="utf-8"), "dvc.lock")[
        "stages"
    ]

    def other_wordings(stages: dict[str, Any]) -> None:
        next(dep for dep in stages["augment"]["deps"] if dep["path"].endswith("wordings.yaml"))[
            "md5"
        ] = "0"

    def other_student(stages: dict[str, Any]) -> None:
        stages["distill"]["params"]["params.yaml"]["distill"]["layers"] = 3

    def other_seed(stages: dict[str, Any]) -> None:
        for stage in stages.values():
            stage["params"]["params.yaml"]["run.seed"] = 1

    changes = ((other_wordings, "x"), (other_student, "y"), (other_seed, "z"))
    wordings, student, seed = (rerun(base, change, mark) for change, mark in changes)
    assert merge(base, wordings, base).dropped == merge(base, base, wordings).dropped == []
    behind_the_student = ["distill", "quantize", "export", "evaluate", "register"]
    found = merge(base, wordings, student)
    assert found.dropped == behind_the_student
    assert found.kept["train"] == wordings["train"]
    assert merge(base, student, seed).dropped == behind_the_student
    before_the_student = ["augment", "train", "reward", "align"]
    assert merge(base, wordings, seed).dropped == [*before_the_student, *behind_the_student]


# DVC 3.67 asks its trie for a value in a way that pygtrie deprecates.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:_NoneStep.value will soon raise:DeprecationWarning")
@pytest.mark.parametrize("number", range(12))
def test_random_merges_with_real_dvc(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/experiments/merges.py does 200 of them."""
    monkeypatch.setenv("MERGING_LOG", "")
    rng = random.Random(number)
    before, ours, theirs = (merge_project.random_edits(rng, most) for most in (2, 3, 3))
    for count, sides in enumerate(
        (merge_project.ADVERSARIAL[number % len(merge_project.ADVERSARIAL)], (ours, theirs))
    ):
        found = merge_project.merge(
            merge_project.Toy(tmp_path / str(count)), *sides, before=before if count else []
        )
        assert found.right
        if not found.conflicts:
            assert found.needed <= found.ran <= found.below
