"""Show or prune the memo: expensive results that the pipeline keeps, such as text read from pages.

Only the time of later runs depends on it. Example: `lore memo` shows how large it is,
`lore memo --prune 2G` removes what was not used for longest.
"""

import argparse
import re

from stages.core.project.errors import InputError
from stages.core.repeatable import memo

# A number, perhaps with a unit: `0`, `500M`, `1.5 GB`.
SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?) ?(?P<unit>[KMGT]?)B?")
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
    """Prune if asked to, then print the size. Raises InputError where a file cannot be removed."""
    try:
        if options.prune is not None:
            removed, freed = memo.prune(options.prune)
            print(f"removed {removed:,} files, {freed / 1e6:,.1f} MB")
        sizes = [path.stat().st_size for path in memo.files()]
    except OSError as error:
        raise InputError(
            f"{memo.folder()}: {error.strerror}; "
            "make it writable for this user, or remove the folder"
        ) from None
    print(f"{memo.folder()}: {len(sizes):,} files, {sum(sizes) / 1e6:,.1f} MB")
    return 0


def size(text: str) -> int:
    """Return the bytes of a size such as `500M`. Raises ArgumentTypeError for other text."""
    match = SIZE.fullmatch(text.strip().upper())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write 500M, 2G or 0")
    number = float(match["number"])
    unit = UNITS[match["unit"]]
    return int(number * unit)
