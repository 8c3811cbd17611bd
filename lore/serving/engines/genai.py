"""The engine of onnxruntime-genai, for CPUs: a model that the stage `export` wrote as ONNX.

It needs a fraction of PyTorch's CPU time (docs/experiments.md, "Serving"). It batches what waits when a batch
begins. On a CPU, nothing joins a batch that is at work.

Traps of version 0.18: it says that it takes the configured size of a batch, and was seen to write at four answers
at a time all the same. the engine must be made in the thread that runs it. An id outside the vocabulary makes it
unusable, so prompts come from the model's own tokenizer alone.
"""

import importlib.util
import json
from pathlib import Path
from typing import Any

from lore.serving.engines.engine import Job, StatsSink
from lore.serving.engines.worker import Worker
from stages.core.project.errors import ModelError

FORMATS = ("onnx", "onnx_int8")
"""The formats of `export` that this engine reads, the best first: float answers as evaluate recorded."""


class GenaiEngine:
    """An ONNX model of the stage `export`."""

    name = "genai"

    def __init__(self, folder: Path, most: int, stats: StatsSink) -> None:
        """Load the model. `most` answers are written at once. Raises ModelError where it cannot be loaded."""

        def make() -> GenaiBatch:
            return GenaiBatch(folder, most)

        try:
            self._worker = Worker(make, most, stats)
        except ImportError:
            raise ModelError(
                "the engine genai needs onnxruntime-genai; pip install 'lorekeep[serve]', or write "
                "--engine torch"
            ) from None
        except RuntimeError as error:
            raise ModelError(f"{folder}: onnxruntime-genai cannot load it ({error})") from None

    def submit(self, job: Job) -> None:
        """Queue a job."""
        self._worker.submit(job)

    def close(self) -> None:
        """End the thread and free the model."""
        self._worker.close()


class GenaiBatch:
    """The library's engine, and the jobs that it works at."""

    def __init__(self, folder: Path, most: int) -> None:
        import onnxruntime_genai as og

        self._library = og
        config = og.Config(str(folder))
        config.overlay(json.dumps({"engine": {"static_batching": {"max_batch_size": most}}}))
        self._model = og.Model(config)
        self._engine = og.Engine(self._model)
        self._events = self._engine.create_event_buffer(most * 2)
        self._jobs: dict[Any, Job] = {}
        """The library's request → the job."""
        self._size = 0
        self._turns: dict[Job, tuple[Any, int]] = {}
        """Job → the library's request and its turn."""

    def takes_more(self) -> bool:
        """Return that the library queues what it cannot begin yet."""
        return True

    def size(self) -> int:
        """Return how many answers the last step wrote at."""
        return self._size

    def add(self, jobs: list[Job]) -> None:
        """Give jobs to the library."""
        import numpy as np

        for job in jobs:
            options = self._library.RequestOptions()
            options.set_max_session_tokens(len(job.prompt) + job.most)
            request = self._engine.create_request(options=options)
            turn = self._library.TurnOptions(request)
            turn.set_do_sample(False)
            turn.set_max_generated_tokens(job.most)
            number = request.begin_turn(np.array(job.prompt, dtype=np.int32), turn)
            self._jobs[request] = job
            self._turns[job] = (request, number)

    def step(self) -> list[Job]:
        """Let the library write the next tokens, and return the jobs whose answers are complete."""
        flags = self._library.EngineEventFlags
        ended: list[Job] = []
        written: set[Any] = set()
        for event in self._engine.run(self._events):
            job = self._jobs.get(event.request)
            if job is None or job in ended:
                continue
            written.add(event.request)
            is_over = False
            if has(event.flags, flags.TOKEN):
                is_over = job.on_tokens([int(event.token)])
            if has(event.flags, flags.FAILED):
                raise ModelError(f"onnxruntime-genai failed: {event.error_code}")
            if is_over or has(event.flags, flags.TURN_FINISHED):
                ended.append(job)
        self._size = len(written)
        self.drop(ended)
        return ended

    def drop(self, jobs: list[Job]) -> None:
        """Take jobs out of the batch."""
        for job in jobs:
            request, turn = self._turns.pop(job)
            self._jobs.pop(request)
            request.cancel_turn(turn)
            request.close()


def has(flags: Any, flag: Any) -> bool:
    """Return whether an event has a flag."""
    return bool(int(flags) & int(flag.value))


def is_at_hand(export: Path, variant: str) -> bool:
    """Return whether the library is installed, and an export holds the variant in float32.

    Float answers are those that evaluate recorded. INT8 may change some, so a person asks for it.
    """
    if importlib.util.find_spec("onnxruntime_genai") is None:
        return False
    try:
        return folder_of(export, variant).name == "onnx"
    except ModelError:
        return False


def folder_of(export: Path, variant: str) -> Path:
    """Return the folder of an export's ONNX model. Raises ModelError where there is none of this variant."""
    remedy = "write onnx into export.formats of params.yaml, then dvc repro export; or write --engine torch"
    manifest_file = export / "manifest.json"
    if not manifest_file.is_file():
        raise ModelError(f"{export}: no exported model; {remedy}")
    manifest = json.loads(manifest_file.read_text(encoding="utf-8"))
    formats = [name for name in FORMATS if name in manifest["formats"]]
    if not formats:
        raise ModelError(f"{export}: no ONNX model in it; {remedy}")
    if manifest["variant"] != variant:
        raise ModelError(
            f"{export}: it holds the variant {manifest['variant']}, not {variant}; "
            f"write --model {manifest['variant']}, or another export.variant, then dvc repro export"
        )
    return export / formats[0]
