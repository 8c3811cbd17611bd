"""`lore`, from the project's root folder. Each command is a module with `add_arguments(parser)` and `run(options)`."""

import argparse
import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

from stages.core.project import runtime
from stages.core.project.errors import LorekeepError
from stages.core.project.params import Run, read_section

COMMANDS = {
    "ask": "ask the model a question, and see which fact and which sources stand behind it",
    "diff": "compare two knowledge versions fact by fact, and what the model made of each",
    "docs": "build pages that show what every rule found in the records, and what contradicts what",
    "forget": "exclude a fact, a record, a subject or a source, find all that holds it, prove that it is gone",
    "memo": "show or prune what the pipeline remembers of expensive results",
    "merge-driver": "merge dvc.lock stage by stage, and say what must run again",
    "overlay": "lay ready settings over params.yaml: a model's profile, a source's mapping",
    "plan": "which stages will run and why, what that costs, and whether a model fits this machine",
    "release": "tag this version and put MLflow's alias on its model, as one act",
    "rollback": "go back to an earlier version: data, models, metrics and MLflow's alias, as one act",
    "snapshot": "bring rows of a live database into the project, as a file that is versioned",
    "trace": "follow an answer back to the raw file, or a source forward to every answer",
    "verify": "make a revision anew elsewhere, and prove it the same to the bit or name the first difference",
    "versions": "list the knowledge versions with their facts and scores",
    "why-rejected": "show why clean set a record aside, and what it did to it before",
}

WITHOUT_SETTINGS = ("merge-driver", "plan")
"""Commands that load no numeric library: git calls the first, perhaps while params.yaml is being merged; the other is quick."""

BROKEN_PIPE = 128 + 13
"""What a shell says of a program that SIGPIPE ended."""


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code: 1 for an error, 2 for a wrong command line, others as the command says."""
    parser = argparse.ArgumentParser(
        prog="lore",
        description="What git, dvc and mlflow lack. Versions are git commits: `git checkout` and `dvc checkout` move "
        "between them, `dvc metrics diff` compares them.",
        epilog='Example: lore ask "At what temperature does iron melt?"',
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, summary in COMMANDS.items():
        module = module_of(name)
        module.add_arguments(commands.add_parser(name, help=summary, description=module.__doc__))
    options = parser.parse_args(argv)
    try:
        if options.command not in WITHOUT_SETTINGS:
            runtime.prepare(read_section("run", Run, Path("params.yaml")))
        code: int = module_of(options.command).run(options)
        return code
    except LorekeepError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader has seen enough: lore ask … | head -1
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE


def module_of(command: str) -> ModuleType:
    """The module of a command."""
    return importlib.import_module(f"lore.commands.{command.replace('-', '_')}")


if __name__ == "__main__":
    sys.exit(main())
