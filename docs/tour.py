"""Follow pages literally: run every command in a fresh clone, and compare its output with the page.

    python docs/tour.py [--clone FOLDER] [--cache FOLDER] [--home FOLDER] [--skip "make test"] [PAGE …]

`make docs-test` calls it. The pages are followed in the given order, all in one clone. Without a page these are
README.md, docs/getting-started.md and docs/jobs.md.

- Commands are the lines of the `sh` blocks. Each must exit with 0, or with the code in a comment at its end
  (`# exits with 3`).
- A `text` block directly after a `sh` block shows the output of its last command. `...` stands for any text.
- A block after `<!-- not in the tour -->` is left out: it needs something that only the reader has, such as a remote.
- The clone holds only committed files.
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
PAGES = ("README.md", "docs/getting-started.md", "docs/jobs.md")
"""The pages that are followed by default, in this order."""

# A fenced block of shell commands or of output, with the mark that leaves it out. Example:
#   <!-- not in the tour -->
#   ```sh
#   dvc push
#   ```
BLOCK = re.compile(
    r"(?P<mark><!-- not in the tour -->\n)?^```(?P<kind>sh|text)\n(?P<body>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
# The exit code in a command's comment: `lore ask "…"   # exits with 3` gives 3.
CODE = re.compile(r"# exits with (\d+)")


@dataclass(frozen=True)
class Step:
    """A command of a page, and the expected result."""

    line: int
    command: str
    code: int = 0
    shown: str | None = None
    """The output that the page shows, or None."""
    page: str = "README.md"


def main() -> int:
    """Run the tour. Returns 1 if a command failed or printed something else."""
    options = parser().parse_args()
    steps: list[Step] = []
    for page in options.pages or PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        steps.extend(steps_of(text, page))

    failed: list[Step] = []
    skipped: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        clone = options.clone or Path(folder) / "lorekeep"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        if options.cache:
            local = clone / ".dvc/config.local"
            local.write_text(f"[cache]\n    dir = {options.cache.resolve()}\n", encoding="utf-8")
        environment = environment_of(clone, options.home)
        for step in steps:
            if step.command in options.skip:
                skipped.append(step.command)
            elif not follow(step, clone, environment):
                failed.append(step)

    print()
    for step in failed:
        print(f"failed: {step.page}, line {step.line}: {step.command}")
    run = len(steps) - len(skipped)
    print(f"{run} commands, {len(failed)} failed; skipped: {', '.join(skipped) or 'none'}")
    return int(bool(failed))


def parser() -> argparse.ArgumentParser:
    """The options of the command line."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "pages", nargs="*", metavar="PAGE", help=f"pages to follow; default: {', '.join(PAGES)}"
    )
    made.add_argument("--clone", type=Path, help="where to clone to; default: a temporary folder")
    made.add_argument(
        "--home", type=Path, help="the folder for ~, with the public data that a page names"
    )
    made.add_argument(
        "--cache",
        type=Path,
        help="use this DVC cache, so that known results are not computed again",
    )
    made.add_argument(
        "--skip", action="append", default=[], metavar="COMMAND", help="leave out this command"
    )
    return made


def environment_of(clone: Path, home: Path | None) -> dict[str, str]:
    """The environment of the commands: the clone's own programs come first, and no editor opens."""
    environment = dict(os.environ)
    environment["PATH"] = f"{clone / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
    environment["GIT_EDITOR"] = "true"
    if home:
        environment["HOME"] = str(home.resolve())
    return environment


def steps_of(text: str, page: str = "README.md") -> Iterator[Step]:
    """The commands of a page in order. The last one of a block has the output that a `text` block shows."""
    blocks = list(BLOCK.finditer(text))
    for number, block in enumerate(blocks):
        if block["kind"] == "text" or block["mark"]:
            continue
        output = output_after(text, blocks, number)
        first = text[: block.start("body")].count("\n") + 1
        commands = list(whole_commands(block["body"], first))
        for position, (line, command) in enumerate(commands):
            code = CODE.search(command)
            is_last = position == len(commands) - 1
            yield Step(
                line=line,
                command=without_comment(command),
                code=int(code.group(1)) if code else 0,
                shown=output if is_last else None,
                page=page,
            )


def output_after(text: str, blocks: list[re.Match[str]], number: int) -> str | None:
    """The body of the `text` block that directly follows block `number`, or None."""
    if number + 1 == len(blocks):
        return None
    following = blocks[number + 1]
    between = text[blocks[number].end() : following.start()]
    if following["kind"] != "text" or between.strip():
        return None
    return following["body"]


def whole_commands(body: str, first: int) -> Iterator[tuple[int, str]]:
    """(line number, command) of a block that begins on line `first`. An open quotation continues a command."""
    command = ""
    start = first
    for number, line in enumerate(body.splitlines(), start=first):
        if command:
            command = f"{command}\n{line}"
        else:
            command = line
            start = number
        if not complete(command):
            continue
        if command.strip():
            yield start, command
        command = ""


def complete(command: str) -> bool:
    """Whether every quotation of a command is closed."""
    try:
        shlex.split(command, comments=True)
    except ValueError:
        return False
    return True


def without_comment(command: str) -> str:
    """The command up to the first # outside quotations."""
    # White space and #: in `lore ask "a # b"  # c` both places match, and only the second one leaves a whole command.
    for match in re.finditer(r"\s+#", command):
        before = command[: match.start()]
        if complete(before):
            return before
    return command


def follow(step: Step, clone: Path, environment: dict[str, str]) -> bool:
    """Run one command in the clone. Returns whether exit code and output are those of the page."""
    print(f"\n{step.page}, line {step.line}: $ {step.command}", flush=True)
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
        print(f"{step.page}, line {step.line}: the page says exit code {step.code}")
        return False
    if step.shown is not None and not same(step.shown, done.stdout):
        print(f"{step.page}, line {step.line}: the page shows this output:\n{step.shown}")
        return False
    return True


def same(shown: str, printed: str) -> bool:
    """Whether the output is the shown one. `...` stands for any text. Spaces at the ends of lines do not count."""
    checker = doctest.OutputChecker()
    return checker.check_output(
        without_trailing(shown), without_trailing(printed), doctest.ELLIPSIS
    )


def without_trailing(text: str) -> str:
    """The lines of a text without spaces at their ends, and without empty lines around them."""
    lines = [line.rstrip() for line in text.strip().splitlines()]
    return "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
