"""Show or prune what the pipeline remembers of expensive results: what engines read of pages. Nothing depends on it but time."""

import argparse
import re

from stages.core.project.errors import InputError
from stages.core.repeatable import memo

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lore memo`."""
    parser.add_argument(
        "--prune",
        type=size,
        metavar="SIZE",
        help="remove what was not used for longest until SIZE is left: 500M, 2G; 0: all",
    )


def run(options: argparse.Namespace) -> int:
    """Prune where that is asked for, then say what is there. Raises InputError where a file cannot be removed."""
    try:
        if options.prune is not None:
            removed, freed = memo.prune(options.prune)
            print(f"removed {removed:,} files, {freed / 1e6:,.1f} MB")
        sizes = [path.stat().st_size for path in memo.files()]
    except OSError as error:
        raise InputError(
            f"{memo.folder()}: {error.strerror}; make it writable for this user, or remove the folder"
        ) from None
    print(f"{memo.folder()}: {len(sizes):,} files, {sum(sizes) / 1e6:,.1f} MB")
    return 0


def size(text: str) -> int:
    """Bytes of `500M`: a number, perhaps with K, M, G or T (powers of 1,000) and B. Raises ArgumentTypeError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]?)B?", text.strip().upper())
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write 500M, 2G or 0")
    return int(float(found[1]) * UNITS[found[2]])
