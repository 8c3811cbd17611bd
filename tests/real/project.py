"""A clone of the project, in which a real checkpoint goes through the stages by configuration alone."""

import contextlib
import json
import os
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
PROFILE = "docs/profiles/real.yaml"
"""The settings of the proof."""
RULES = Path(__file__).parent / "rules.yaml"
LAST_STAGE = "evaluate"


@dataclass(frozen=True)
class Project:
    """A clone, and the environment of the commands that run in it."""

    root: Path
    packages: Path
    """The installed packages that the project's own environment lacks."""

    def command(self, *words: str) -> None:
        """Run a command and show what it prints. Raises CalledProcessError where it fails."""
        subprocess.run(words, cwd=self.root, env=self.environment(), check=True)

    def environment(self) -> dict[str, str]:
        """Return the environment: this Python comes first, and the packages can be imported."""
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return os.environ | {
            "PATH": programs,
            "PYTHONPATH": str(self.packages),
            "DVC_NO_ANALYTICS": "1",
            "HF_HUB_OFFLINE": "1",
            "MLFLOW_TRACKING_URI": "",
        }

    def json(self, path: str) -> Any:
        """Return a JSON file of the clone."""
        return json.loads((self.root / path).read_text(encoding="utf-8"))


def cloned(folder: Path, packages: Path) -> Project:
    """Clone the committed state of this project into `folder`, with WordNet as it is here."""
    root = folder / "project"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(root)], check=True)
    shutil.copytree(ROOT / "data" / "wordnet", root / "data" / "wordnet")
    return Project(root, packages)


def commit_of(project: Project) -> str:
    """Return the commit that the clone is at."""
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=project.root, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def configure(
    project: Project, gguf: Path, student_layers: int | None, overlays: list[Path]
) -> None:
    """Lay the profile over the clone's settings, then the checkpoint, then overlays of the user; and its rules.

    `student_layers` are the layers of the student, None for no student.
    """
    settings = {
        "base": {"folder": os.path.relpath(gguf, project.root)},
        "distill": {"layers": student_layers},
    }
    # YAML reads JSON.
    checkpoint = project.root.parent / "checkpoint.yaml"
    checkpoint.write_text(json.dumps(settings), encoding="utf-8")
    files = [PROFILE, str(checkpoint)]
    for overlay in overlays:
        files.append(str(overlay.resolve()))
    project.command("python", "-m", "lore", "overlay", *files)
    shutil.copyfile(RULES, project.root / "data/raw/rules.yaml")
    # dvc.yaml gets the checkpoint as a dependency of `base`.
    project.command("python", "-m", "lore", "check", "--fix")


def run_stages(project: Project) -> float:
    """Run the stages up to `evaluate`. Returns the seconds of CPU time that they took, over all cores."""
    before = cpu_seconds_of_commands()
    project.command("dvc", "repro", LAST_STAGE)
    return cpu_seconds_of_commands() - before


def cpu_seconds_of_commands() -> float:
    """Return the CPU time of all commands that this process ran to their end."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def foretold_bytes(project: Project) -> int:
    """Return the peak memory of training that `lore plan --memory` foretells, with its libraries."""
    from lore.planning import memory_table

    with contextlib.chdir(project.root):
        estimate = memory_table.make_estimate(Path("models/base/model"), None)
    return estimate.parts.total + memory_table.libraries()
