"""Prove that a revision can be made again to the bit: clone it elsewhere, run `dvc repro` there with an empty cache, and
compare every output with that revision's dvc.lock. Where one differs, say the first: stage, file, and in it the record and
column, the key path, the row or training step, the tensor with its greatest absolute difference. It takes as long as the
pipeline does; --stage stops earlier. Example: `lore verify --stage augment`, `lore verify knowledge@v1.0.0 --certificate
v1.json`, and later `lore verify --check v1.json`, which rebuilds nothing and proves integrity only. Exit code 0 bit-exact, 3
where something differs, 1 for an error."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lore.rendering.report import Section
    from lore.verification.outputs import Output, Parting
    from lore.versions.version import Version

DIFFERENT = 3
UNKNOWN = "the recorded file is not kept here (neither in DVC's cache nor in git), so only hashes could be compared"


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
        help="rebuild this stage and what it needs; default: all but register",
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
        help="write what was found, and in which environment, as JSON",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="FILE",
        help="say in what this environment is not a certificate's",
    )
    parser.add_argument(
        "--check",
        type=Path,
        metavar="FILE",
        help="compare a certificate with the repository, rebuilding nothing",
    )


def run(options: argparse.Namespace) -> int:
    """Rebuild, compare, print. Raises InputError where it cannot be rebuilt, LockError where other libraries are installed."""
    from lore.rendering import report
    from lore.verification import certificate, outputs, rebuild
    from lore.versions import version

    if options.check:
        return check(options.check)
    found_in = version.revision(options.rev)
    against = certificate.load(options.against) if options.against else None
    stages = rebuild.chosen(found_in, options.stage, options.register)
    rebuild.demand_libraries(found_in)
    started = time.time()
    with rebuild.clone(found_in, options.keep) as clone:
        clone.repro(stages)
        found = outputs.compare(found_in, clone.root, stages)
        partings = outputs.partings(found_in, clone.root, found)
    certified = certificate.certify(found_in, stages, found, partings)
    if options.certificate:
        seconds = {"started": int(started), "seconds": round(time.time() - started, 1)}
        certificate.write(options.certificate, certified, seconds)
    sections = [outputs_section(found), environment_section(certified["environment"])]
    if partings:
        sections.insert(0, partings_section(partings))
    if against:
        sections.append(
            against_section(options.against, against["environment"], certified["environment"])
        )
    print(
        report.text(f"{found_in.label}: {certified['verdict']}", notes(found_in, stages), sections),
        end="",
        flush=True,
    )
    return DIFFERENT if partings else 0


def notes(version: "Version", stages: list[str]) -> list[str]:
    """What a reader must know before believing the rest."""
    left = [name for name in version.stages if name not in stages]
    outrun = [line for line in version.outrun() if line.split()[0] in stages]
    return outrun + ([f"not rebuilt: {', '.join(left)}"] if left else [])


def outputs_section(found: "list[Output]") -> "Section":
    """Every output with both hashes, or with one where they are the same."""
    from lore.rendering.report import Section

    same = sum(output.same for output in found)
    lines = [f"{same:,} of {len(found):,} the same to the bit as in dvc.lock"]
    columns: tuple[str, ...] = ("stage", "output", "in dvc.lock", "rebuilt")
    rows: list[tuple[str, ...]] = [
        (output.stage, output.path, output.locked, "the same" if output.same else output.made)
        for output in found
    ]
    if same == len(found):
        columns, rows = ("stage", "output", "md5"), [row[:3] for row in rows]
    return Section("Outputs", tuple(lines), columns, rows)


def partings_section(partings: "list[Parting]") -> "Section":
    """The first difference, a line for each thing there is to know, then the other outputs of its stage."""
    from lore.rendering.report import Section

    first, *others = partings
    found = first.first_difference
    lines = [f"stage {first.stage}, {first.path}"]
    if found is None:
        lines.append(UNKNOWN)
    else:
        lines += [
            found.where,
            f"recorded: {found.was}",
            f"rebuilt: {found.now}",
            *filter(None, [found.note]),
        ]
    if first.others:
        lines.append(f"in the same output also: {', '.join(first.others)}")
    return Section("First difference", (*lines, *map(brief, others)))


def brief(parting: "Parting") -> str:
    """A further difference on one line."""
    found = parting.first_difference
    told = (
        f"{found.where}: {found.was} → {found.now}" + (f"; {found.note}" if found.note else "")
        if found
        else UNKNOWN
    )
    return f"in the same stage also {parting.path}: {told}"


def environment_section(environment: dict[str, Any]) -> "Section":
    """What the result was made with."""
    from lore.rendering.report import Section

    cpu, run = environment["cpu"], environment["run"]
    return Section(
        "Environment",
        (
            f"{environment['python']}, {environment['system']}, {environment['libc']}",
            f"{len(environment['libraries']):,} libraries, sha256 of their versions {environment['libraries_sha256']}",
            f"CPU {cpu['model']}: {' '.join(cpu['flags'])}",
            ", ".join(f"{name} {value}" for name, value in run.items()),
        ),
    )


def against_section(path: Path, old: dict[str, Any], new: dict[str, Any]) -> "Section":
    """In what the environment is not that of a certificate."""
    from lore.rendering.report import Section
    from lore.verification import certificate

    return Section(
        f"Against {path}", tuple(certificate.differences(old, new)) or ("the same environment",)
    )


def check(path: Path) -> int:
    """Compare a certificate with the repository, and say that this proves integrity only."""
    from lore.verification import certificate

    certified = certificate.load(path)
    problems, intact, lacking = certificate.problems(certified)
    print(f"{path}: {certified['verdict']}, by its own word, of {str(certified['revision'])[:12]}")
    print(
        "\n".join(f"! {problem}" for problem in problems)
        or "  revision, dvc.lock and every output's hash are those certified"
    )
    kept = f"  {intact:,} files of its outputs are kept here, each with its hash"
    print(kept + (f"; of {lacking:,} outputs only the hash could be compared" if lacking else ""))
    print(
        f"  This proves integrity only; that the revision can be made again is proved by lore verify {certified['revision']}"
    )
    return DIFFERENT if problems else 0
