"""What the project excludes now, by its exclusions file."""

from pathlib import Path

from lore.erasure.target import Entries
from stages.core.project import artifacts

EXCLUSIONS = Path(artifacts.EXCLUSIONS)
NOTHING = 3
"""Exit code if nothing matches."""


def excluded_now() -> Entries:
    """Return everything that the exclusions file names. Raises ParamsError if it is broken."""
    from stages.clean import exclusions

    listed = exclusions.read(EXCLUSIONS)
    return {kind: [entry.id for entry in getattr(listed, kind)] for kind in exclusions.KINDS}
