"""`dvc repro` in a process that has its libraries loaded: a stage is a fork of it instead of a new Python.

To start Python three times, and to load pandas, torch and the encoder, takes far longer than one changed record. DVC
does what it always does: it decides what runs, removes and caches outputs, and writes dvc.lock. Only the commands
`python -m stages …` of dvc.yaml are not started. Two processes are forked:

- One runs `dvc repro`. It asks for each stage through a pipe, and ends with its exit code.
- One runs the stage, by the same launcher (`stages/__main__.py`), with the environment that DVC gives it.

Both are forked from this process, which has no other thread. A kill of it ends both.
"""

import importlib
import json
import os
import re
import shlex
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from lore.versions.dvc_private import Runner
from stages.core.project import artifacts, lock
from stages.core.project.errors import LorekeepError
from stages.core.project.params import read_yaml
from stages.core.repeatable import fingerprint

STAGE_COMMAND = re.compile(r"python -m stages [\w./ -]+")
"""A command that starts one stage, and is nothing else to a shell: `python -m stages clean data/extract …`."""


def is_possible() -> bool:
    """Whether stages can be forked here. The first process of a container cannot watch over its children."""
    return hasattr(os, "fork") and sys.platform == "linux" and os.getpid() != 1


class Warm:
    """A process from which stages are forked."""

    def __init__(self) -> None:
        self.noted: dict[str, None] = {}
        """Modules that DVC and stages loaded, in their order."""
        self.code = code_here()
        self.settings = settings()

    def is_current(self) -> bool:
        """Whether code, lock file and settings are still those that this process has loaded."""
        now = code_here()
        same_code = all(now.get(file) == status for file, status in self.code.items())
        return same_code and settings() == self.settings

    def call(self, work: Callable[[Runner], int]) -> int:
        """Do the work in a forked process, give it what runs stages, and return its exit code."""
        requests, ask = os.pipe()
        answer, answers = os.pipe()
        flush()
        child = os.fork()
        if child == 0:
            os.close(requests)
            os.close(answers)
            leave_with(partial(work_in_child, work, ask, answer))
        os.close(ask)
        os.close(answer)
        with os.fdopen(requests) as lines, os.fdopen(answers, "w") as replies:
            for line in lines:  # they end when the forked process does
                request = json.loads(line)
                if "loaded" in request:
                    self.noted |= dict.fromkeys(request["loaded"])
                    continue
                code = self.run_stage(request)
                with suppress(BrokenPipeError):  # it was killed meanwhile
                    print(code, file=replies, flush=True)
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status)

    def run_stage(self, request: dict[str, Any]) -> int:
        """Run a stage in a forked process, note what it loaded, and return its exit code."""
        loaded, note = os.pipe()
        flush()
        child = os.fork()
        if child == 0:
            os.close(loaded)
            leave_with(partial(stage_in_child, request, note))
        os.close(note)
        with os.fdopen(loaded) as names:
            self.noted |= dict.fromkeys(names.read().split())
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status)

    def load(self) -> None:
        """Load what DVC and stages loaded so far, and the encoder, so that the next ones need not."""
        for name in self.noted:
            if name not in sys.modules:
                # A module that cannot be loaded here is loaded by the stage, as before.
                with suppress(Exception):
                    importlib.import_module(name)
        with suppress(LorekeepError):
            load_encoder(self.settings[1])
        self.code = code_here() | self.code


def load_encoder(name: Any) -> None:
    """Load the encoder of that name. Raises LorekeepError where that is not possible."""
    if not isinstance(name, str):
        return
    import torch

    from stages.core.repeatable import memo
    from stages.core.retrieval import encoder

    # Threads of OpenMP do not survive a fork, and with one thread none is made. Each stage sets its own number.
    torch.set_num_threads(1)
    folder = encoder.folder_of(name)
    encoder.identity_of(folder)
    encoder.load(folder)
    memo.code_of(encoder.__name__)


def work_in_child(work: Callable[[Runner], int], ask: int, answer: int) -> int:
    """Do the work, with a runner that asks for stages through a pipe. Returns the exit code.

    At the end, the names of the modules that it loaded go through the same pipe.
    """
    from stages.core.project import runtime

    before = set(sys.modules)
    runtime.die_with_parent()
    with os.fdopen(ask, "w") as requests, os.fdopen(answer) as answers:

        def runner(command: str, folder: str, environment: dict[str, str]) -> int | None:
            """Return the exit code of a stage, or None where the command is none of a stage."""
            if not STAGE_COMMAND.fullmatch(command):
                return None
            arguments = shlex.split(command)[3:]
            request = {"arguments": arguments, "folder": folder, "environment": environment}
            print(json.dumps(request), file=requests, flush=True)
            return int(answers.readline() or 1)

        code = work(runner)
        loaded = [name for name in sys.modules if name not in before]
        print(json.dumps({"loaded": loaded}), file=requests, flush=True)
        return code


def stage_in_child(request: dict[str, Any], note: int) -> int:
    """Run a stage as `python -m stages` does, write the names of the modules that it loaded, return its code."""
    from stages.__main__ import main

    before = set(sys.modules)
    os.chdir(request["folder"])
    os.environ.update(request["environment"])
    code = main(request["arguments"])
    names = [name for name in sys.modules if name not in before]
    with os.fdopen(note, "w") as names_out:
        names_out.write("\n".join(names))
    return code


def leave_with(work: Callable[[], int]) -> NoReturn:
    """End this forked process with what the work returns, or as Python ends a program."""
    code = 1
    try:
        code = work()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        flush()
        os._exit(code)


def flush() -> None:
    """Write what is still in the buffers: a forked process would write it once more."""
    sys.stdout.flush()
    sys.stderr.flush()


def settings() -> tuple[Any, Any]:
    """Return the settings that a loaded library has read: `run`, and the name of the encoder."""
    document = read_yaml(Path(artifacts.PARAMS))
    return document.get("run"), (document.get("index") or {}).get("encoder")


def code_here() -> dict[str, tuple[int, int]]:
    """Return the loaded files of Lorekeep and of the project, and the lock file, with size and time of change."""
    roots = (str(fingerprint.ROOT), str(Path.cwd()))
    files = [str(lock.lock_file(Path()))]
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if path and path.startswith(roots):
            files.append(path)
    found = {}
    for file in sorted(set(files)):
        with suppress(OSError):
            status = os.stat(file)
            found[file] = (status.st_size, status.st_mtime_ns)
    return found
