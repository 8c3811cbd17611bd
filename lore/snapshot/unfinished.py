"""The list of new files that were to take their places together when `lore snapshot` was killed."""

from pathlib import Path

from stages.core.project.artifacts import SNAPSHOTS

LIST = Path(SNAPSHOTS) / ".places.partial"
"""The places that new files will take. Git and DVC ignore names of this form."""


def problems() -> list[str]:
    """Return a line where some of the files have taken their places and others may have not."""
    if not LIST.exists():
        return []
    return [
        f"{LIST}: a lore snapshot was cut off while its files took their places; "
        "call lore snapshot again, which first finishes this"
    ]
