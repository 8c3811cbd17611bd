"""Prove that a revision can be made again to the bit.

It clones the revision elsewhere, runs `dvc repro` there with an empty cache, and compares every
output with that revision's dvc.lock. Where one differs, it names the first difference: stage, file,
and in it the record and column, the key path, the row or training step, or the tensor with its
greatest absolute difference. It takes as long as the pipeline does, --stage stops earlier. Example:
`lore verify --stage augment`, `lore verify knowledge@v1.0.0 --certificate v1.json`, and later
`lore verify --check v1.json`, which rebuilds nothing and proves integrity only. `lore verify --stored
knowledge@v1.0.0` reads every object that DVC keeps of a version, and names damaged ones. Exit code 0
bit-exact, 3 where something differs, 1 for an error.
"""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lore.rendering.report import Section
    from lore.verification.outputs import Difference, Output
    from lore.versions.version import Version

DIFFERENT = 3
"""Exit code where something differs."""
UNKNOWN = (
    "the recorded file is not kept here (neither in DVC's cache nor in git), "
    "so only hashes could be compared"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lore verify`."""
    parser.add_argument(
        "rev",
        nargs="?",
        default="HEAD",
        metavar="REV",
        help="a branch, tag or commit; default: HEAD",
    )
    parser.add_argument(
        "--stage",
        metavar="S",
        help="rebuild this stage and those that it needs; default: all but register",
    )
    parser.add_argument(
        "--register",
        action="store_true",
        help="also run register, which writes into a temporary MLflow store",
    )
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="clone into DIR and leave it there, to look into"
    )
    parser.add_argument(
        "--certificate",
        type=Path,
        metavar="FILE",
        help="write the result and the environment as JSON",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="FILE",
        help="list the differences between this environment and that of a certificate",
    )
    parser.add_argument(
        "--check",
        type=Path,
        metavar="FILE",
        help="compare a certificate with the repository, rebuilding nothing",
    )

    parser.add_argument(
        "--stored",
        action="store_true",
        help="read every object of REV in DVC's cache and compare its hash, rebuilding nothing",
    )


def run(options: argparse.Namespace) -> int:
    """Rebuild, compare, print.

    Raises InputError where the revision cannot be rebuilt, LockError where other libraries are
    installed.
    """
    from lore.rendering import report
    from lore.verification import certificate, outputs, rebuild
    from lore.versions import version

    if options.check:
        return check(options.check)
    revision = version.revision(options.rev)
    if options.stored:
        return check_stored(revision)
    against = certificate.load(options.against) if options.against else None
    stages = rebuild.chosen(revision, options.stage, options.register)
    rebuild.demand_libraries(revision)
    started = time.time()
    with rebuild.clone(revision, options.keep) as clone:
        clone.repro(stages)
        compared = outputs.compare(revision, clone.root, stages)
        differing = outputs.differences(revision, clone.root, compared)
    # From here on the clone is gone. Everything that is shown was read before.
    certified = certificate.certify(revision, stages, compared, differing)
    if options.certificate:
        seconds = {"started": int(started), "seconds": round(time.time() - started, 1)}
        certificate.write(options.certificate, certified, seconds)

    environment = certified["environment"]
    sections = [outputs_section(compared), environment_section(environment)]
    if differing:
        sections.insert(0, differences_section(differing))
    if against:
        sections.append(against_section(options.against, against["environment"], environment))
    title = f"{revision.label}: {certified['verdict']}"
    print(report.text(title, notes(revision, stages), sections), end="", flush=True)
    return DIFFERENT if differing else 0


def notes(version: "Version", stages: list[str]) -> list[str]:
    """Return reasons to doubt the rest, one per line."""
    lines = []
    for line in version.outrun():
        name = line.split()[0]  # each line begins with the name of a stage
        if name in stages:
            lines.append(line)
    left = [name for name in version.stages if name not in stages]
    if left:
        lines.append(f"not rebuilt: {', '.join(left)}")
    return lines


def outputs_section(outputs: "list[Output]") -> "Section":
    """Return every output with both hashes. Where all are the same, with one."""
    from lore.rendering.report import Section

    same = sum(output.same for output in outputs)
    lines = (f"{same:,} of {len(outputs):,} the same to the bit as in dvc.lock",)
    rows: list[tuple[str, ...]] = []
    if same == len(outputs):
        for output in outputs:
            rows.append((output.stage, output.path, output.locked))
        return Section("Outputs", lines, ("stage", "output", "md5"), rows)
    for output in outputs:
        made = "the same" if output.same else output.made
        rows.append((output.stage, output.path, output.locked, made))
    return Section("Outputs", lines, ("stage", "output", "in dvc.lock", "rebuilt"), rows)


def differences_section(differing: "list[Difference]") -> "Section":
    """Return the first difference in full, then the other outputs of its stage, a line each."""
    from lore.rendering.report import Section

    # Later outputs of the stage often differ for the same reason, so one line each is enough.
    first, *others = differing
    lines = [f"stage {first.stage}, {first.path}"]
    divergence = first.first_difference
    if divergence is None:
        lines.append(UNKNOWN)
    else:
        lines.append(divergence.where)
        lines.append(f"recorded: {divergence.was}")
        lines.append(f"rebuilt: {divergence.now}")
        if divergence.note:
            lines.append(divergence.note)
    if first.others:
        lines.append(f"in the same output also: {', '.join(first.others)}")
    lines += [brief(other) for other in others]
    return Section("First difference", tuple(lines))


def brief(difference: "Difference") -> str:
    """Return a further difference on one line."""
    divergence = difference.first_difference
    what = UNKNOWN
    if divergence:
        what = f"{divergence.where}: {divergence.was} → {divergence.now}"
        if divergence.note:
            what += f"; {divergence.note}"
    return f"in the same stage also {difference.path}: {what}"


def environment_section(environment: dict[str, Any]) -> "Section":
    """Return the environment in which the result was made."""
    from lore.rendering.report import Section

    cpu = environment["cpu"]
    number = len(environment["libraries"])
    settings = [f"{name} {value}" for name, value in environment["run"].items()]
    lines = (
        f"{environment['python']}, {environment['system']}, {environment['libc']}",
        f"{number:,} libraries, sha256 of their versions {environment['libraries_sha256']}",
        f"CPU {cpu['model']}: {' '.join(cpu['flags'])}",
        ", ".join(settings),
    )
    return Section("Environment", lines)


def against_section(path: Path, old: dict[str, Any], new: dict[str, Any]) -> "Section":
    """Return how the environment differs from that of a certificate."""
    from lore.rendering.report import Section
    from lore.verification import certificate

    lines = certificate.differences(old, new) or ["the same environment"]
    return Section(f"Against {path}", tuple(lines))


def check_stored(revision: "Version") -> int:
    """Read every object that DVC keeps of a revision, and name those that are damaged or missing."""
    from lore.releasing import stored
    from lore.rendering import terminal

    problems = list(stored.problems(revision))
    read = len(revision.cache.sound)
    print(f"{revision.label}: {read:,} objects of DVC's cache read, each with its hash")
    for problem in problems:
        place = revision.cache.path(problem.digest)
        print(f"! {problem.kind}: {terminal.shown(problem.path)} ({terminal.shown(str(place))})")
    if not problems:
        return 0
    print(f"Remove what is damaged (rm -f), then: {stored.fetching(revision)}")
    return DIFFERENT


def check(path: Path) -> int:
    """Compare a certificate with the repository, and say that this proves integrity only."""
    from lore.verification import certificate

    certified = certificate.load(path)
    revision = str(certified["revision"])
    checked = certificate.check(certified)
    print(f"{path}: {certified['verdict']}, by its own word, of {revision[:12]}")
    for problem in checked.problems:
        print(f"! {problem}")
    if not checked.problems:
        print("  revision, dvc.lock and every output's hash are those certified")
    kept = f"  {checked.files:,} files of its outputs are kept here, each with its hash"
    if checked.incomplete:
        kept += f"; of {checked.incomplete:,} outputs only the hash could be compared"
    print(kept)
    print(
        "  This proves integrity only; that the revision can be made again is proved by "
        f"lore verify {revision}"
    )
    return DIFFERENT if checked.problems else 0
