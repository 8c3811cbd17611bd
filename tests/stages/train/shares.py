"""Trains several times in each of several processes, as torchrun starts them: `shares.py FOLDER`.

FOLDER holds `runs.json`: a list of runs, each with `name`, `base` and `augment` (folders), `settings` of train, and
perhaps `killed_at`, the step before which it breaks off. One launch for many runs saves the time in which every process
loads its libraries.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from stages.core.mlflow import tracking
from stages.core.project import runtime
from stages.core.project.params import Run, parse

RUN = Run(seed=7, threads=1, isa="avx2", device="cpu")


class Killed(BaseException):
    """As sudden as a signal: no `except Exception` holds it up."""


def train_once(folder: Path, wanted: dict[str, Any]) -> None:
    """Train as `wanted` says, into outputs of that name below `folder`."""
    from stages import train
    from stages.core.models.checkpoints import Resumable

    problems: list[str] = []
    params = parse(wanted["settings"], train.Params, "train", problems)
    assert params is not None, problems
    last = wanted.get("killed_at")
    original = Resumable.training_step

    def killed(trainer: Any, *arguments: Any, **settings: Any) -> Any:
        if trainer.state.global_step == last:
            raise Killed
        return original(trainer, *arguments, **settings)

    out = folder / wanted["name"]
    outputs = [out, *(out.with_suffix(end) for end in (".json", ".csv", ".steps"))]
    Resumable.training_step = killed
    try:
        train.run(params, RUN, folder / wanted["base"], folder / wanted["augment"], *outputs)
    except Killed:
        print(f"{wanted['name']}: broke off before step {last}")
    finally:
        Resumable.training_step = original


def main() -> None:
    """Train everything that `runs.json` names."""
    folder = Path(sys.argv[1])
    runtime.die_with_parent()
    runtime.prepare(RUN)
    tracking._start = lambda stage: tracking.Log()  # no run is logged
    for wanted in json.loads((folder / "runs.json").read_text()):
        train_once(folder, wanted)
    sys.stdout.flush()
    os._exit(0)  # as `python -m stages` leaves


if __name__ == "__main__":
    main()
