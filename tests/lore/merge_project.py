"""Random merges with real git and real DVC: a toy project, two branches that changed it, and what DVC says of the merged one."""

import io
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dvc.repo  # noqa: F401 - here, not in a test, whose standard error DVC's log would go on writing to
from ruamel.yaml import YAML

from tests.lore.knowledge import IDENTITY
from tests.lore.merging.test_dvc_lock import BASE, PIPELINE, SOURCES, Stage, World, edited

ROOT = Path(__file__).parents[2]
Edit = tuple[str, str, Any]
ADVERSARIAL: list[tuple[list[Edit], list[Edit]]] = [
    ([("file", "code.py", "1")], [("param", "train", 1)]),  # other code, the same output of `teach`
    ([("file", "code.py", "1")], [("file", "code.py", "2")]),
    (
        [("file", "a.txt", "1")],
        [("param", "seed", 1)],
    ),  # an input on one side, the lock on the other
    ([("file", "lib.py", "1")], [("file", "b.txt", "1")]),
    ([("rename", "judge", "1")], [("file", "lib.py", "1")]),
    ([("rename", "train", "1")], [("rename", "train", "2")]),
    ([("remove", "judge", "")], [("cmd", "judge", "1")]),
    ([("remove", "judge", "")], [("file", "b.txt", "1")]),
    ([("dep", "teach", "lib.py")], [("file", "lib.py", "1")]),
    ([("out", "clean", "1")], [("param", "teach", 1)]),
]
IGNORED = [
    "clean.d",
    "model",
    "small",
    "verdict",
    "clean-more1",
    "clean-more2",
    "teach-more1",
    "teach-more2",
]


@dataclass(frozen=True)
class Outcome:
    """What became of one merge."""

    ran: set[str]
    """Stages that `dvc repro` ran after the merge."""
    needed: set[str]
    """Stages of which no side's dvc.lock has an entry that holds once all is made."""
    below: set[str]
    """Those, and all that read what they make."""
    right: bool
    """Whether dvc.lock then is that of a run of everything, byte for byte."""
    conflicts: list[str]
    """Files beside dvc.lock and metrics that both sides changed; ours was taken."""


class Toy:
    """A project of shell stages, in a folder of its own."""

    def __init__(self, root: Path) -> None:
        self.root, self.log = root, root.with_name(f"{root.name}.log")
        root.mkdir(parents=True)
        os.environ["MERGING_LOG"] = str(self.log)
        self.git("init", "-q", "-b", "main")
        (root / ".dvc").mkdir()
        (root / ".dvc/config").write_text("[core]\n    analytics = false\n")
        (root / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n")
        (root / ".gitignore").write_text("".join(f"/{name}\n" for name in IGNORED))
        (root / ".gitattributes").write_text("dvc.lock merge=dvclock\n")
        self.git(
            "config", "merge.dvclock.driver", f"{sys.executable} -m lore merge-driver %O %A %B %P"
        )

    def git(self, *command: str, check: bool = True) -> str:
        environment = os.environ | IDENTITY | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            ["git", *command],
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
            check=check,
        )
        return done.stdout

    def lay(self, world: World) -> None:
        """Write sources, settings and dvc.yaml as a side has them; entries stand apart, so that git merges them one by one."""
        for path in SOURCES:
            (self.root / path).write_text(f"{path} {world.files[path]}\n")
        run, gap = world.params["run"], "\n" * 4
        values = [f"train: {world.params['train']}\n", f"teach: {world.params['teach']}\n"]
        params = gap.join(
            [f"run:\n  seed: {run['seed']}\n", f"  threads: {run['threads']}\n", *values]
        )
        (self.root / "params.yaml").write_text(params)
        (self.root / "dvc.yaml").write_text(
            "stages:\n" + "".join(declared(*item) for item in world.stages.items())
        )

    def repro(self, force: bool = False) -> set[str]:
        """`dvc repro` without the run cache; the stages that it ran."""
        from dvc.repo import Repo

        self.log.write_text("")
        with chdir(self.root), Repo() as repo, redirect_stdout(io.StringIO()):
            repo.reproduce(force=force, run_cache=False)
        return set(self.log.read_text().split())

    def changed(self) -> set[str]:
        """The stages that `dvc status` names."""
        from dvc.repo import Repo

        with chdir(self.root), Repo() as repo:
            return set(repo.status())

    def save(self, branch: str, world: World, run: bool = True) -> None:
        """A branch on which the project became this; perhaps nobody ran it."""
        self.git("checkout", "-q", "-B", branch)
        self.lay(world)
        if run:
            self.repro()
        self.git("add", "-A")
        self.git("commit", "-qm", branch, "--allow-empty")

    def back(self, branch: str) -> None:
        """Check a branch out, its outputs too."""
        from dvc.repo import Repo

        self.git("checkout", "-q", "-f", branch)
        with chdir(self.root), Repo() as repo:
            repo.checkout(force=True, allow_missing=True)

    def lock(self) -> str:
        return (self.root / "dvc.lock").read_text()


def declared(name: str, stage: Stage) -> str:
    """A stage in dvc.yaml.

    It writes its command, settings and inputs into every output, and its name into the log.
    """
    read = [dep for dep in stage.deps if not (stage.careless and dep.endswith(".py"))]
    keys = "|".join("seed|threads" if key == "run" else key for key in stage.keys) or "none"
    made = [f"{out}/weights" if out == "small" else out for out in stage.outs]
    word = "the same" if stage.careless else stage.cmd
    code = f"(echo {word}; cat {' '.join(read)}; grep -E '^ *({keys}):' params.yaml; true)"
    folder = "mkdir -p small; " if "small" in stage.outs else ""
    # The log's name would else be a part of what is hashed; the command's end is that of the edited command.
    cmd = f"{folder}{code} | tee {' '.join(made)} > /dev/null; echo {name} >> $MERGING_LOG  # {stage.cmd}"
    lines = [
        f"  {name}:",
        f"    cmd: {YAML_QUOTE}{cmd.replace(YAML_QUOTE, YAML_QUOTE * 2)}{YAML_QUOTE}",
    ]
    lines += listed("deps", stage.deps) + listed("params", stage.keys)
    lines += listed("outs", [out for out in stage.outs if out != "score.json"])
    if "score.json" in stage.outs:
        lines += ["    metrics:", "      - score.json: {cache: false}"]
    return "\n".join([*lines, *["# " + "-" * 9] * 4, ""])


YAML_QUOTE = "'"


def listed(kind: str, names: Sequence[str]) -> list[str]:
    """A list, its entries apart."""
    if not names:
        return []
    lines = [f"    {kind}:"]
    for name in names:
        lines += ["      #", f"      - {name}", "      #"]
    return lines


def random_edits(rng: random.Random, most: int) -> list[Edit]:
    """Up to `most` edits of a side, as tests/lore/merging/test_dvc_lock.py has them."""
    kinds: list[tuple[str, Sequence[str], Sequence[Any]]] = [
        ("file", SOURCES, "12"), ("file", SOURCES, "12"), ("param", ["seed", "threads", "train", "teach"], [1, 2]),
        ("param", ["train", "teach"], [1, 2]), ("cmd", list(PIPELINE), "12"), ("remove", ["judge"], [""]),
        ("rename", list(PIPELINE), "12"), ("dep", ["clean", "train", "teach"], ["b.txt", "lib.py", "a.txt"]),
        ("out", ["clean", "teach"], "12"),
    ]  # fmt: skip
    chosen = [rng.choice(kinds) for _ in range(rng.randint(0, most))]
    return [(kind, rng.choice(names), rng.choice(values)) for kind, names, values in chosen]


def world_of(edits: list[Edit]) -> World:
    """A side after edits. Stages keep their place in dvc.yaml, since people edit it where it stands."""
    world = BASE
    for edit in edits:
        new = edited(world, edit)
        order = {stage.outs[0]: number for number, stage in enumerate(PIPELINE.values())}
        world = World(
            new.files,
            new.params,
            dict(sorted(new.stages.items(), key=lambda item: order[item[1].outs[0]])),
        )
    return world


def merge(
    toy: Toy,
    ours: list[Edit],
    theirs: list[Edit],
    before: list[Edit] | None = None,
    run: bool = True,
) -> Outcome:
    """Merge two sides, run what is left, and ask DVC whether that was right and needed. Where `run` is false, nobody ran ours."""
    toy.save("base", world_of(before or []))
    toy.save("theirs", world_of((before or []) + theirs))
    toy.back("base")
    toy.save("ours", world_of((before or []) + ours), run)
    locks = [toy.git("show", f"{side}:dvc.lock") for side in ("base", "ours", "theirs")]
    toy.git("merge", "-q", "--no-edit", "theirs", check=False)
    open_files = toy.git("diff", "--name-only", "--diff-filter=U").split()
    for path in open_files:
        toy.git("checkout", "--ours", "--", path)
    toy.git("add", "-A")
    toy.git("commit", "-qm", "merged", "--allow-empty")
    toy.back("ours")
    ran = toy.repro()
    kept = toy.lock()
    everything = toy.repro(force=True)
    right = toy.lock() == kept
    states = []
    for lock in locks:
        (toy.root / "dvc.lock").write_text(lock)
        states.append(toy.changed() & everything)
    (toy.root / "dvc.lock").write_text(kept)
    needed = set.intersection(*states)
    return Outcome(
        ran,
        needed,
        below(toy, needed),
        right,
        [path for path in open_files if path != "score.json"],
    )


def below(toy: Toy, stages: set[str]) -> set[str]:
    """The stages, and all that read what they make, directly or not."""
    declared: dict[str, Any] = YAML(typ="safe").load((toy.root / "dvc.lock").read_text())["stages"]
    found = set(stages)
    for _ in declared:
        made = set()
        for name in found:
            made |= {out["path"] for out in declared[name].get("outs", [])}
        for name, stage in declared.items():
            read = {dep["path"].split("/")[0] for dep in stage.get("deps", [])}
            if read & made:
                found.add(name)
    return found
