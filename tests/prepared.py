"""One small project that has run from end to end, for the tests that need one.

It holds a dozen elements and trains a few steps. It is made once for all processes of a test run;
each file of tests gets a copy.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from filelock import FileLock
from ruamel.yaml import YAML

from stages.core.models.model_folder import sha256_of_folder

ROOT = Path(__file__).parent.parent
ELEMENTS = "iron,copper,neon,mercury,gold,helium,radium,tungsten,iodine,sodium,carbon,zinc"
OVERLAY: dict[str, Any] = {
    "run": {"threads": 1},
    "base": {"replay": {"texts": 200, "max_new_tokens": 64, "from_nothing": 64}},
    "augment": {"questions": 4, "synonyms": 0},
    "train": {
        "steps": 12,
        "eval_every": 6,
        "warmup": 2,
        "rows_per_batch": 16,
        "ewc": {"weight": 1.5, "rows": 16, "damping": 0.1},
    },
    "distill": {"steps": 6, "eval_every": 3, "warmup": 2, "rows_per_batch": 16},
    "evaluate": {"general": 40, "max_new_tokens": 24},
    "register": {"gates": []},
}


class Clone:
    """A clone of the working tree with the overlay, and commands in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "DVC_NO_ANALYTICS": "1",
            "MLFLOW_TRACKING_URI": "",
            "GIT_AUTHOR_NAME": "test",
            "GIT_AUTHOR_EMAIL": "test@example.org",
            "GIT_COMMITTER_NAME": "test",
            "GIT_COMMITTER_EMAIL": "test@example.org",
            "PYTHONPATH": "",
        }

    def __call__(self, *command: str, code: int = 0) -> str:
        """Run a command, check its exit code and return what it printed."""
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        assert done.returncode == code, (
            f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done.stdout + done.stderr

    def json(self, path: str) -> Any:
        return json.loads((self.root / path).read_text(encoding="utf-8"))

    def facts(self) -> pd.DataFrame:
        return pd.read_parquet(self.root / "data/evaluate/facts.parquet")

    def set_params(self, changes: dict[str, Any]) -> None:
        yaml, path = YAML(), self.root / "params.yaml"
        document = yaml.load(path.read_text(encoding="utf-8"))
        for section, values in changes.items():
            document[section].update(values)
        yaml.dump(document, path)

    def edit(self, path: str, pattern: str, replacement: str) -> None:
        """Change exactly one place of a text file."""
        file = self.root / path
        text, count = re.subn(
            pattern, replacement, file.read_text(encoding="utf-8"), flags=re.MULTILINE
        )
        assert count == 1, f"{pattern} stands {count} times in {path}"
        file.write_text(text, encoding="utf-8")

    def hashes(self) -> dict[str, str]:
        return {
            str(path): sha256_of_folder(self.root / "models" / path)
            for path in ("train", "distill", "quantize")
        }


def ran(output: str) -> list[str]:
    """Stages that a `dvc repro` ran, in order."""
    return re.findall(r"Running stage '(\w+)'", output)


def make_clone(root: Path) -> Clone:
    """The working tree's tracked and new files in `root`, with a dozen elements, few steps and no gates, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True, text=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, root / name)
    shutil.copytree(ROOT / "data" / "wordnet", root / "data" / "wordnet")
    clone = Clone(root)
    for script in ("build", "scans"):
        clone(
            sys.executable,
            f"data/authoring/{script}.py",
            "--elements",
            ELEMENTS,
            "--out",
            "data/raw",
        )
    clone.set_params(OVERLAY)
    (root / "dvc.lock").unlink(missing_ok=True)
    shutil.rmtree(root / "metrics")  # of the whole run: others come of a dozen elements
    clone("git", "init", "-q", "-b", "main")
    clone("git", "add", "-A")
    clone("git", "commit", "-qm", "overlay")
    return clone


def prepared(tmp_path_factory: pytest.TempPathFactory, name: str) -> tuple[Clone, str]:
    """Return a copy of the project after its first run, and what `dvc repro` printed in that run.

    The first process that comes makes it, the others wait.
    """
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    original = shared / "prepared" / "clone"
    printed = shared / "prepared" / "printed.txt"
    with FileLock(shared / "prepared.lock"):
        if not printed.is_file():
            original.mkdir(parents=True)
            made = make_clone(original)
            output = made("dvc", "repro")
            made("git", "add", "-A")
            made("git", "commit", "-qm", "first version")
            printed.write_text(output, encoding="utf-8")
    copy = tmp_path_factory.mktemp(name) / "clone"
    shutil.copytree(original, copy, symlinks=True)
    return Clone(copy), printed.read_text(encoding="utf-8")
