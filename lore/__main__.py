"""`lore`, from anywhere in a project.

Each command is a module of lore.commands with `add_arguments(parser)` and `run(options)`. It runs in
the project's root folder. Paths that the caller gave are relative to the caller's folder.
"""

import argparse
import importlib
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import shtab

from lore.rendering import terminal
from stages.core.project import runtime
from stages.core.project.errors import LorekeepError
from stages.core.project.params import Run, read_section
from stages.core.project.root import find_root

GROUPS = {
    "every day": {
        "diff": "compare two versions: facts, answers of the model, rules, settings and scores",
        "versions": "list the versions with their facts and scores",
        "plan": "show the stages that dvc repro will run, with reasons and times",
        "update": "take in what is new: records and index at once, weights where it is worth it",
        "ask": "ask the model a question, and see the fact and the sources behind the answer",
        "serve": "answer over HTTP, in the form of OpenAI's API, with version, fact and sources",
        "trace": "follow an answer back to the raw file, or a source forward to every answer",
    },
    "release": {
        "release": "tag this version and move MLflow's alias to its model, both or neither",
        "rollback": "bring back data, models, metrics and MLflow's alias of an earlier version",
        "verify": "rebuild a version in another folder, and compare every output to the bit",
    },
    "data": {
        "check-data": "show what each source will be read as, value by value, before training",
        "overlay": "write the settings of a file into params.yaml: a profile, or a mapping of sources",
        "snapshot": "write rows of a live database into a file that git or DVC versions",
        "teach": "ask a language model for wordings and questions, and keep its answers as data",
        "why-rejected": "show why clean rejected a record, and how it changed the record before",
        "feedback": "let a person choose between two answers, blind, and keep the judgement as data",
        "gaps": "show what the model fails, what the records lack, and what was asked in vain",
        "drift": "show whether the records are distributed as those of another version",
        "docs": "build pages that show the records that break a rule, and the contradictions",
        "forget": "exclude a fact, a record, a subject or a source, and check that it is gone",
    },
    "upkeep": {
        "check": "check that dvc.yaml, params.yaml, code and data agree",
        "memo": "show or prune the kept results of OCR and speech recognition",
    },
    # Programs call these. The list of `lore --help` leaves them out.
    "": {
        "merge-driver": "merge dvc.lock stage by stage in git, and name the stages that must run again",
    },
}
"""The commands by what they are for, each with its summary."""
COMMANDS: dict[str, str] = {}
"""Every command with its summary."""
for group in GROUPS.values():
    COMMANDS |= group

WITHOUT_SETTINGS = ("check", "merge-driver", "plan")
"""Commands that load no numeric library, so they need no settings of threads.

git calls merge-driver, perhaps while params.yaml itself is being merged. The others must be quick.
"""
WITHOUT_PROJECT = ("merge-driver",)
"""git calls it in the top folder of the repository, which need not be a project's root."""

BROKEN_PIPE = 128 + 13
"""The exit code that a shell gives a program ended by SIGPIPE."""


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code.

    1 stands for an error, 2 for a wrong command line, others for what the command's help says.
    """
    try:
        commands, options = parsed(argv)
        if options.project or options.command not in WITHOUT_PROJECT:
            enter_project(options, commands[options.command])
        if options.command not in WITHOUT_SETTINGS:
            runtime.prepare(read_section("run", Run, Path("params.yaml")))
        code: int = module_of(options.command).run(options)
        return code
    except LorekeepError as error:
        print(terminal.shown_lines(f"{type(error).__name__}: {error}"), file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader has seen enough, as in `lore ask … | head -1`. Python would complain once more
        # when it closes standard output, so that goes nowhere from here on.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE


def parsed(argv: list[str] | None) -> tuple[dict[str, argparse.ArgumentParser], argparse.Namespace]:
    """Return each command's own parser, and the options of this call."""
    made, commands = parsers()
    return commands, made.parse_args(argv)


class Parser(argparse.ArgumentParser):
    """A parser whose errors name the help that lists what is possible."""

    def error(self, message: str) -> NoReturn:
        """Print usage, message and the next step, and exit with 2."""
        super().error(f"{message}; {self.prog} --help lists what is possible")


class GroupedHelp(argparse.HelpFormatter):
    """Lists the commands by group, and leaves out those that programs call."""

    def _format_action(self, action: argparse.Action) -> str:
        if not isinstance(action, argparse._SubParsersAction):
            return super()._format_action(action)
        entries = {entry.dest: entry for entry in action._get_subactions()}
        lines = []
        for heading, names in GROUPS.items():
            if not heading:
                continue
            lines.append(f"  {heading}:\n")
            self._indent()
            for name in names:
                lines.append(super()._format_action(entries[name]))
            self._dedent()
        return "".join(lines)


def parsers() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """Return the command line's parser, and that of each command by name."""
    made = Parser(
        prog="lore",
        formatter_class=GroupedHelp,
        description="Ask, compare, trace, release and roll back versions of a domain model. "
        "A version is a git commit. `git checkout` and `dvc checkout` change to another one. "
        "`dvc repro` runs the pipeline.",
        epilog='Example: lore ask "At what temperature does iron melt?". '
        "`lore COMMAND --help` explains a command.",
    )
    made.add_argument("--version", action="version", version=f"lore {installed_version()}")
    made.add_argument(
        "-C",
        "--project",
        type=Path,
        metavar="FOLDER",
        help="the project to work on; default: the one that the working directory is in",
    )
    shtab.add_argument_to(
        made,
        ["--print-completion"],
        help="print the completion of a shell; for bash: "
        "lore --print-completion bash > ~/.local/share/bash-completion/completions/lore",
    )
    subparsers = made.add_subparsers(
        dest="command", required=True, metavar="command", title="commands"
    )
    commands: dict[str, argparse.ArgumentParser] = {}
    for name, summary in COMMANDS.items():
        module = module_of(name)
        commands[name] = subparsers.add_parser(name, help=summary, description=module.__doc__)
        module.add_arguments(commands[name])
    return made, commands


def installed_version() -> str:
    """Return the version of the installed package."""
    try:
        return version("lorekeep")
    except PackageNotFoundError:
        return "unknown (not installed)"


def enter_project(options: argparse.Namespace, defaults: argparse.ArgumentParser) -> None:
    """Go to the project's root; paths that the caller gave go on meaning the same files.

    `defaults` is the command's parser: a default path lies in the project's root.
    Raises InputError where there is no project.
    """
    caller = Path.cwd()
    root = find_root(caller / options.project if options.project else caller)
    if root == caller.resolve():
        return
    os.chdir(root)
    for name, value in vars(options).items():
        if name == "project" or value is defaults.get_default(name):
            continue
        if isinstance(value, Path):
            setattr(options, name, from_root(value, caller, root))
        elif isinstance(value, list):
            given = [
                from_root(item, caller, root) if isinstance(item, Path) else item for item in value
            ]
            setattr(options, name, given)


def from_root(path: Path, caller: Path, root: Path) -> Path:
    """Return a path that the caller gave, as seen from the project's root."""
    absolute = (caller / path).resolve()
    return absolute.relative_to(root) if absolute.is_relative_to(root) else absolute


def module_of(command: str) -> ModuleType:
    """Return the module of a command."""
    return importlib.import_module(f"lore.commands.{command.replace('-', '_')}")


if __name__ == "__main__":
    sys.exit(main())
