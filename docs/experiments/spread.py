"""How far do the scores differ by the random seed alone? One version with several seeds; writes metrics/spread.json.

    PYTHONPATH=. python docs/experiments/spread.py [--seeds 1 2] [--project FOLDER]

The commit that is checked out counts as the first seed: its metrics/evaluate.json is there already. For each
further seed, a temporary clone of it trains and evaluates with another `run.seed`. The data stay the same: the
outputs of earlier stages come from DVC's cache. Nothing in the project changes, except for the file in the end.
It takes as long as these stages, for each further seed. `lore diff` reads the file (lore/comparison/spread.py).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from lore.comparison import spread
from lore.versions.version import Version, revision
from stages.core.project import artifacts
from stages.core.project.output import write_json

STAGES = ("train", "distill", "quantize", "evaluate")
METRICS = artifacts.EVALUATE_METRICS


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2], help="beside run.seed")
    parser.add_argument("--project", type=Path, default=Path(), metavar="FOLDER")
    options = parser.parse_args()
    os.chdir(options.project)
    write_json(Path(spread.PATH), measure(options.seeds))


def measure(seeds: list[int]) -> dict[str, Any]:
    """Return the content of metrics/spread.json for the project in the working directory."""
    version = revision("HEAD")
    doubts = version.doubts([METRICS])
    if doubts:
        sys.exit("\n".join(["HEAD is not the result of one whole run:", *doubts]))
    params = version.document(artifacts.PARAMS)
    metrics = {params["run"]["seed"]: version.document(METRICS)}
    for seed in seeds:
        if seed not in metrics:
            metrics[seed] = of_seed(version, seed)
        print(f"seed {seed}: {json.dumps(dict(spread.scores_in(metrics[seed])))}", flush=True)
    return spread.measured(str(version.commit), params, metrics)


def of_seed(version: Version, seed: int) -> dict[str, Any]:
    """Return metrics/evaluate.json of the version with another seed, from a temporary clone."""
    cache = called(["dvc", "cache", "dir"], Path()).strip()
    with tempfile.TemporaryDirectory(prefix="spread-") as name:
        clone = Path(name) / "clone"
        called(["git", "clone", "--quiet", "--shared", "--no-checkout", ".", str(clone)], Path())
        called(["git", "checkout", "--quiet", "--detach", str(version.commit)], clone)
        called(["dvc", "cache", "dir", "--local", cache], clone)
        called(["dvc", "checkout", "--quiet", *inputs_of(version)], clone)
        set_seed(clone / artifacts.PARAMS, seed)
        (clone / METRICS).unlink()  # so that it can only come from this run
        for stage in STAGES:
            if stage in version.stages:
                print(f"seed {seed}: {stage}", flush=True)
                called(version.stages[stage]["cmd"], clone)
        found: dict[str, Any] = json.loads((clone / METRICS).read_text(encoding="utf-8"))
    return found


def inputs_of(version: Version) -> list[str]:
    """Return what the stages read of the outputs of earlier stages: models/base, data/augment."""
    made_here = set()
    read = set()
    for name in STAGES:
        stage = version.stages.get(name, {})
        made_here |= {out["path"] for out in stage.get("outs", [])}
        read |= {dep["path"] for dep in stage.get("deps", [])}
    return sorted((read - made_here) & set(version.outs))


def set_seed(path: Path, seed: int) -> None:
    """Write another run.seed into params.yaml."""
    yaml = YAML()
    params = yaml.load(path.read_text(encoding="utf-8"))
    params["run"]["seed"] = seed
    yaml.dump(params, path)


def called(command: list[str] | str, folder: Path) -> str:
    """Run a program of this environment in a folder and return what it printed. Exits where it fails."""
    programs = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    # A run with another seed is no run of the project, so it stays out of the project's MLflow.
    environment.pop("MLFLOW_TRACKING_URI", None)
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        shell=isinstance(command, str),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{command}: exit code {done.returncode}; what it said stands above")
    return done.stdout


if __name__ == "__main__":
    main()
