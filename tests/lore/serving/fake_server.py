"""A real server with a model that is none: everything is real but the engine, so that it starts in a second.

    PYTHONPATH=. python -m tests.lore.serving.fake_server FOLDER [name=value …] [token=NAME:TOKEN …]

It writes its records into the folder and prints its address. The names are those of `Limits`. With `said=SECONDS`,
each letter of an answer takes so long.
"""

import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

from lore.serving import log
from lore.serving.access import Access
from lore.serving.app import make_app
from lore.serving.engines.engine import Job
from lore.serving.generations import Generations
from lore.serving.metrics import Metrics
from lore.serving.server import listening, run
from lore.serving.settings import Limits, Settings
from tests.lore.serving.fakes import FakeEngine, generation


class SlowEngine(FakeEngine):
    """Takes its time for each letter."""

    def __init__(self, pause: float) -> None:
        super().__init__()
        self._pause = pause

    def _answer(self, job: Job) -> None:
        tell = job.on_tokens

        def slowly(tokens: list[int]) -> bool:
            time.sleep(self._pause)
            return tell(tokens)

        job.on_tokens = slowly
        super()._answer(job)


def main(arguments: list[str]) -> None:
    """Answer until SIGTERM."""
    root = Path(arguments[0])
    root.mkdir(parents=True, exist_ok=True)
    limits: dict[str, Any] = {"requests_per_minute": 10_000_000, "tokens_per_minute": 1_000_000_000}
    types = {field.name: type(field.default) for field in dataclasses.fields(Limits)}
    tokens = {}
    pause = 0.0
    for argument in arguments[1:]:
        name, _, value = argument.partition("=")
        if name == "token":
            who, _, token = value.partition(":")
            tokens[who] = token
        elif name == "said":
            pause = float(value)
        else:
            limits[name] = types[name](value)
    settings = Settings(port=0, limits=Limits(**limits))
    log.to_standard_error()
    generations = Generations(generation(root, engine=SlowEngine(pause)))
    app = make_app(generations, settings, Access(tokens), Metrics())
    with listening(settings) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        run(app, listener, settings)


if __name__ == "__main__":
    main(sys.argv[1:])
