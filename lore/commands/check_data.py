"""Show what will be read as what, before anything is trained: one screen for each source.

It reads the first units of each source as `extract` and `clean` read them, and writes nothing. A screen
shows files and encodings, columns that nothing uses, ten values with their readings, dates, texts, and
what looks suspicious, each with the setting that decides it. Compare the values with the source: a
wrong decimal sign makes a dose a thousand times too large.

Example: `lore check-data`, or `lore check-data legacy --sample 5000`. Exit code 0, 3 where something is
suspicious or a source cannot be read, 1 for an error.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.core.project import artifacts
from stages.core.project.errors import InputError, ParamsError

if TYPE_CHECKING:
    from lore.sampling.sample import Sample
    from stages.clean import Params

SAMPLE = 1000
"""Units of a source that are read where --sample does not say."""
SUSPICIOUS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lore check-data`."""
    parser.add_argument(
        "sources", nargs="*", metavar="SOURCE", help="names of sources; default: all"
    )
    parser.add_argument(
        "--sample",
        type=int,
        default=SAMPLE,
        metavar="N",
        help=f"units to read of each source; 0: all; default: {SAMPLE}",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print a screen per source.

    Raises ParamsError for wrong settings, InputError for a name that no source has.
    """
    from lore.rendering import report, terminal
    from lore.sampling.sample import sample_of
    from lore.sampling.screen import heading, sections_of
    from stages import clean, extract
    from stages.clean.values.normalise import check_units
    from stages.core.project.params import load

    reading, _ = load("extract", extract.Params)
    cleaning, _ = load("clean", clean.Params)
    check_units(cleaning.normalise)
    sources = named(reading.sources, options.sources)
    root = Path(artifacts.RAW)
    most = options.sample or None
    shown: list[dict[str, Any]] = []
    doubtful = False
    for source in sources:
        files = files_below(source.path, root)
        sample = sample_of(source, files, root, cleaning, most, reading.names)
        sections = list(sections_of(sample, cleaning))
        doubtful = doubtful or bool(sample.failure) or sections[-1].title == "suspicious"
        if options.json:
            shown.append(as_json(sample, cleaning))
        else:
            print(terminal.shown_lines(report.text(heading(sample), [], sections)))
    if options.json:
        print(terminal.json_text(shown))
    return SUSPICIOUS if doubtful else 0


def named(sources: list[Any], names: list[str]) -> list[Any]:
    """Return the sources of these names, or all. Raises InputError for a name that none has."""
    known = [source.name for source in sources]
    if not sources:
        raise ParamsError("extract.sources: there is none; lore overlay FILE lays a mapping")
    for name in names:
        if name not in known:
            raise InputError(f"no source is called {name}; there are {', '.join(known)}")
    return [source for source in sources if not names or source.name in names]


def files_below(path: str, root: Path) -> list[Path]:
    """Return the files of a source, sorted. None: they are not there."""
    from stages.extract import is_pattern

    matching = sorted(root.glob(path)) if is_pattern(path) else [root / path]
    return [file for file in matching if file.is_file()]


def as_json(sample: "Sample", params: "Params") -> dict[str, Any]:
    """Return a sample as JSON: counts, all readings, suspicions."""
    from dataclasses import asdict

    from lore.sampling.suspicions import suspicions

    return {
        "source": sample.source.name,
        "files": len(sample.files),
        "failure": sample.failure,
        "units": len(sample.units),
        "is_all": sample.is_all,
        "records": len(sample.records),
        "rejected": len(sample.rejected),
        "skipped": sample.skipped,
        "values": [asdict(reading) for reading in sample.facts + sample.quantities],
        "dates": [asdict(reading) for reading in sample.dates],
        "suspicious": suspicions(sample, params),
    }
