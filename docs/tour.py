"""Follow the README literally: paste every command into a fresh clone, and compare what it prints with what the README shows.

    python docs/tour.py [--readme README.md] [--clone FOLDER] [--cache FOLDER] [--home FOLDER] [--skip "make test"]

`make docs-test` calls it. Commands are the lines of the README's `sh` blocks, in order, in one folder; each must exit with 0, or
with the code that a comment at its end names (`# exits with 3`). A `text` block right after one shows what its last command
prints; `...` in it stands for anything. A block after `<!-- not in the tour -->` needs what a reader brings (a checkpoint, a
remote) and is left out. The clone is made of what is committed.
"""

import argparse
import doctest
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(
    r"(?P<mark><!-- not in the tour -->\n)?^```(?P<kind>sh|text)\n(?P<body>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
CODE = re.compile(r"# exits with (\d+)")


@dataclass(frozen=True)
class Step:
    """A command as it stands in the README, and what it is to print."""

    line: int
    command: str
    code: int = 0
    shown: str | None = None


def main() -> int:
    """Run the tour; 1 where a command failed or printed something else."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--readme", default="README.md", help="which README to follow")
    parser.add_argument(
        "--clone", type=Path, help="where to clone to; a temporary folder if left out"
    )
    parser.add_argument(
        "--home", type=Path, help="what ~ is: a folder that holds the public data the README names"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        help="start from this DVC cache: what was computed before is taken from it",
    )
    parser.add_argument(
        "--skip",
        action="append",
        default=[],
        metavar="COMMAND",
        help="a command to leave out, said at the end",
    )
    options = parser.parse_args()
    steps = list(steps_of((ROOT / options.readme).read_text(encoding="utf-8")))
    with tempfile.TemporaryDirectory() as folder:
        clone = options.clone or Path(folder) / "lorekeep"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        if options.cache:
            (clone / ".dvc/config.local").write_text(
                f"[cache]\n    dir = {options.cache.resolve()}\n"
            )
        environment = dict(os.environ) | (
            {"HOME": str(options.home.resolve())} if options.home else {}
        )
        environment |= {
            "PATH": f"{clone / '.venv/bin'}{os.pathsep}{os.environ['PATH']}",
            "GIT_EDITOR": "true",
        }
        failures = [
            step
            for step in steps
            if step.command not in options.skip and not follow(step, clone, environment)
        ]
    skipped = [step.command for step in steps if step.command in options.skip]
    print(
        f"{options.readme}: {len(steps) - len(skipped)} commands, {len(failures)} failed; skipped: {', '.join(skipped) or 'none'}"
    )
    return bool(failures)


def steps_of(readme: str) -> Iterator[Step]:
    """The commands in order; the last one of a block has the text block that follows at once."""
    blocks = list(BLOCK.finditer(readme))
    for number, block in enumerate(blocks):
        if block["kind"] == "text" or block["mark"]:
            continue
        following = blocks[number + 1] if number + 1 < len(blocks) else None
        at_once = (
            following
            and following["kind"] == "text"
            and not readme[block.end() : following.start()].strip()
        )
        first = readme[: block.start("body")].count("\n") + 1
        commands = list(whole_commands(block["body"], first))
        for position, (line, command) in enumerate(commands):
            code = CODE.search(command)
            last = position == len(commands) - 1
            shown = following["body"] if last and at_once and following else None
            yield Step(line, without_comment(command), int(code.group(1)) if code else 0, shown)


def whole_commands(body: str, first: int) -> Iterator[tuple[int, str]]:
    """(line number, command) of a block that begins on line `first`; a command goes on where a quotation is open."""
    begun, start = "", first
    for number, line in enumerate(body.splitlines(), start=first):
        begun, start = (f"{begun}\n{line}", start) if begun else (line, number)
        if not complete(begun):
            continue
        if begun.strip():
            yield start, begun
        begun = ""


def complete(command: str) -> bool:
    """Whether every quotation of a command is closed."""
    try:
        shlex.split(command, comments=True)
    except ValueError:
        return False
    return True


def without_comment(command: str) -> str:
    """The command up to the first # that stands in no quotation."""
    places = (found.start() for found in re.finditer(r"\s+#", command))
    return next((command[:place] for place in places if complete(command[:place])), command)


def follow(step: Step, clone: Path, environment: dict[str, str]) -> bool:
    """Run one command in the clone and say whether it did what the README says."""
    print(f"\n{step.line}: $ {step.command}", flush=True)
    started = time.monotonic()
    done = subprocess.run(
        ["sh", "-c", step.command],
        cwd=clone,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    print(done.stdout[-3000:], end="")
    print(f"[exit {done.returncode}, {time.monotonic() - started:.1f} s]", flush=True)
    if done.returncode != step.code:
        print(f"README line {step.line}: exit code {step.code} is said")
        return False
    if step.shown is not None and not same(step.shown, done.stdout):
        print(f"README line {step.line}: this is said to be printed:\n{step.shown}")
        return False
    return True


def same(shown: str, printed: str) -> bool:
    """Whether a command printed what is shown, `...` standing for anything; spaces at the ends of lines do not count."""
    want, got = (
        "".join(f"{line.rstrip()}\n" for line in text.strip().splitlines())
        for text in (shown, printed)
    )
    return doctest.OutputChecker().check_output(want, got, doctest.ELLIPSIS)


if __name__ == "__main__":
    sys.exit(main())
