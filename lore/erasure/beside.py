"""Two places beside the outputs that may hold a target: the memo, and the record of the teacher.

The memo keeps what was read from pages, PDFs and recordings, and the vectors of the index. A vector states nothing that
can be read. The record of the teacher keeps each request with its answer. Both stay where they are when a record is
excluded, so they are searched on their own.
"""

from pathlib import Path

from lore.erasure.locations import files_below
from lore.erasure.scan import ScanResult, Search
from stages.core.project import artifacts


def in_memo(search: Search) -> dict[str, ScanResult]:
    """Return the files of the memo that contain the target."""
    from stages.core.repeatable import memo

    return matching(sorted(memo.files()), search)


def in_teacher_record(search: Search) -> dict[str, ScanResult]:
    """Return the files of the teacher's record that contain the target."""
    return matching(files_below(Path(artifacts.TEACHER)), search)


def matching(files: list[Path], search: Search) -> dict[str, ScanResult]:
    """Return those of the files that contain the target, by path."""
    found = {}
    for path in files:
        try:
            result = search.scan_file(path)
        except FileNotFoundError:  # a running stage has renamed it
            continue
        if result.matches:
            found[str(path)] = result
    return found
