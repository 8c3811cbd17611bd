"""A small project with several knowledge versions: tables, dvc.lock and cache laid down as DVC leaves them, no stage run."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML

from stages.core.records.record import fact_id, record_id, write
from stages.evaluate.scores import share

Row = dict[str, Any]
IDENTITY = {
    "GIT_AUTHOR_NAME": "test",
    "GIT_AUTHOR_EMAIL": "test@example.org",
    "GIT_COMMITTER_NAME": "test",
    "GIT_COMMITTER_EMAIL": "test@example.org",
}
RUN = {"seed": 7, "threads": 1, "isa": "avx2", "device": "cpu"}


def fact(
    subject: str, value: str, unit: str | None = "°C", attribute: str = "melting point", **more: str
) -> Row:
    """One record as clean writes it."""
    source = more.get("source", "elements")
    locator = more.get("locator", f"elements.sql#{subject}/{attribute}")
    return {
        "id": record_id(source, locator), "source": source, "locator": locator, "kind": "fact", "text": f"{subject} {value}",
        "subject": subject, "attribute": attribute, "value": value, "unit": unit, "fact": fact_id(subject, attribute),
    }  # fmt: skip


def answer(
    row: Row, said: str | None = None, variant: str = "train", question: str = "When does {} melt?"
) -> Row:
    """One row as evaluate writes it: the right answer, unless the model said something else."""
    expected = " ".join(filter(None, (row["value"], row["unit"])))
    right = f"The {row['attribute']} of {row['subject']} is {expected}."
    return {
        "fact": row["fact"], "subject": row["subject"], "attribute": row["attribute"], "variant": variant,
        "question": question.format(row["subject"]), "expected": expected, "answer": said or right, "correct": not said,
    }  # fmt: skip


class Project:
    """A git repository with a DVC project in `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / ".dvc").mkdir(parents=True)
        (root / ".dvc/config").write_text("")
        (root / ".gitignore").write_text("/data/clean\n/data/evaluate\n/.dvc/cache\n")
        self.settings({"run": RUN, "train": {"steps": 100}}, {"rules": []}, {"attributes": {}})
        self.git("init", "-q", "-b", "main")

    def git(self, *command: str) -> str:
        """Run git."""
        done = subprocess.run(
            ["git", *command],
            cwd=self.root,
            env=os.environ | IDENTITY,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def call(self, *command: str) -> str:
        """Run a program, such as dvc of this environment, and return what it printed."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            command,
            cwd=self.root,
            env=os.environ | IDENTITY | {"PATH": path, "DVC_NO_ANALYTICS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def settings(
        self, params: Row | None = None, rules: Row | None = None, wordings: Row | None = None
    ) -> None:
        """Write those of the settings files that are given."""
        for path, document in (
            ("params", params),
            ("data/raw/rules", rules),
            ("data/raw/wordings", wordings),
        ):
            if document is not None:
                file = self.root / f"{path}.yaml"
                file.parent.mkdir(parents=True, exist_ok=True)
                with file.open("w", encoding="utf-8") as stream:
                    YAML(typ="safe").dump(document, stream)

    def run(
        self,
        records: Sequence[Row],
        answers: Sequence[Row] | None = None,
        general: tuple[int, int] = (90, 100),
    ) -> None:
        """What a `dvc repro` leaves; without answers it has never got as far as evaluate."""
        write(self.root / "data/clean/records.parquet", records)
        outs = {"clean": ["data/clean"]}
        metrics = {"augment": {"facts": len({row["fact"] for row in records if row["fact"]})}}
        if answers is not None:
            folder = self.root / "data/evaluate"
            folder.mkdir(parents=True, exist_ok=True)
            pd.DataFrame(answers).to_parquet(
                folder / "facts.parquet", index=False, compression="zstd"
            )
            metrics["evaluate"] = scores(answers, general)
            outs["evaluate"] = ["data/evaluate", "metrics/evaluate.json"]
        (self.root / "metrics").mkdir(exist_ok=True)
        for name, report in metrics.items():
            (self.root / f"metrics/{name}.json").write_text(json.dumps(report))
        self.lock(outs)

    def lock(self, outs: Mapping[str, Sequence[str]]) -> None:
        """Write dvc.lock, and the cache's copies of what it names."""
        params = YAML(typ="safe").load((self.root / "params.yaml").read_text())
        stages = {}
        for name, paths in outs.items():
            deps = []
            if name == "evaluate":
                deps.append({"path": "data/clean", "md5": self.keep(self.root / "data/clean")})
            made = []
            for path in paths:
                made.append({"path": path, "hash": "md5", "md5": self.keep(self.root / path)})
            stages[name] = {
                "cmd": f"python -m stages {name}",
                "deps": deps,
                "params": {"params.yaml": params},
                "outs": made,
            }
        with (self.root / "dvc.lock").open("w", encoding="utf-8") as stream:
            YAML(typ="safe").dump({"schema": "2.0", "stages": stages}, stream)

    def keep(self, path: Path) -> str:
        """Put a file or folder into the cache and return its hash."""
        if path.is_file():
            return self.store(path.read_bytes())
        files = sorted(file for file in path.rglob("*") if file.is_file())
        listing = [
            {"md5": self.keep(file), "relpath": file.relative_to(path).as_posix()} for file in files
        ]
        return self.store(json.dumps(listing).encode(), ".dir")

    def store(self, content: bytes, ending: str = "") -> str:
        """Put an object into the cache and return its hash."""
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest() + ending
        place = self.cached(digest)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        return digest

    def cached(self, digest: str) -> Path:
        """Where the cache has the object of a hash."""
        return self.root / ".dvc/cache/files/md5" / digest[:2] / digest[2:]

    def object_of(self, path: str) -> Path:
        """The cache's copy of an output that stands in the workspace."""
        return self.cached(self.keep(self.root / path))

    def commit(self, tag: str = "") -> None:
        """Commit everything, perhaps under a tag."""
        self.git("add", "-A")
        self.git("commit", "-qm", tag or "version", "--allow-empty")
        if tag:
            self.git("tag", tag)

    def version(
        self, tag: str, records: Sequence[Row], answers: Sequence[Row] | None = None, **more: Any
    ) -> None:
        """Run and commit."""
        self.run(records, answers, **more)
        self.commit(tag)

    def wipe(self) -> None:
        """Remove all outputs from the workspace, as in a fresh clone."""
        for folder in ("data/clean", "data/evaluate"):
            shutil.rmtree(self.root / folder, ignore_errors=True)


def scores(answers: Sequence[Row], general: tuple[int, int]) -> Row:
    """What metrics/evaluate.json says."""
    report = {}
    for variant in dict.fromkeys(row["variant"] for row in answers):
        rows = [row for row in answers if row["variant"] == variant]
        tasks: dict[str, bool] = {}
        for row in rows:
            task = row["subject"] or row["question"]
            tasks[task] = tasks.get(task, True) and row["correct"]
        report[variant] = {
            "probes": {"exact_match": share([row["correct"] for row in rows])},
            "tasks": {"completion": share(list(tasks.values()))},
            "general": {
                "exact_match": share([number < general[0] for number in range(general[1])])
            },
        }
    return report
