"""Two versions side by side: what their records say on a question, and what their models answered to `evaluate`.

No model is loaded for it. Answers are greedy, so a recorded answer is the one that the version gives.
"""

import shutil
import tempfile
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from lore.serving import knowledge, versions
from lore.serving.knowledge import Knowledge
from lore.serving.page.shown_versions import Shown
from lore.versions.version import Version
from stages.core.project import artifacts
from stages.core.records.record import fold

COLUMNS = ("fact", "variant", "question", "answer", "correct")
MOST_ANSWERS = 3
MOST_KEPT = 2
"""Earlier versions whose records stay in memory."""


class Past:
    """The records of versions that are not served. Several threads may ask."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Knowledge] = OrderedDict()
        self._lock = threading.Lock()

    def knowledge(self, version: Version) -> Knowledge:
        """Return the records of a committed version, without its index.

        Raises InputError where DVC's cache lacks them or holds damaged ones.
        """
        assert version.commit is not None
        with self._lock:
            if version.commit not in self._kept:
                self._kept[version.commit] = read(version)
                if len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(version.commit)
            return self._kept[version.commit]


def read(version: Version) -> Knowledge:
    """Read the records of a version from DVC's cache. Raises InputError."""
    private = Path(tempfile.mkdtemp(prefix="lore-page-"))
    try:
        for path in (artifacts.CLEAN, artifacts.AUGMENT):
            if path in version.outs:
                versions.link_output(version, path, private)
        # There is no index in the folder, so neither threads nor a least similarity matter.
        return Knowledge(private, threads=1, least=1.0)
    finally:
        shutil.rmtree(private, ignore_errors=True)


def side(shown: Shown, known: Knowledge, question: str, variant: str) -> dict[str, Any]:
    """Return what a version says on a question. Raises InputError where its tables cannot be read."""
    rows = known.behind(question)
    fact = knowledge.fact_info(rows)
    sources = [source.model_dump() for source in knowledge.source_infos(rows)]
    return {
        "name": shown.name,
        "is_served": shown.is_served,
        "fact": None if fact is None else fact.model_dump(),
        "sources": sources,
        "answers": recorded(shown.version, variant, question, None if fact is None else fact.id),
    }


def recorded(
    version: Version, variant: str, question: str, fact: str | None
) -> list[dict[str, Any]]:
    """Return recorded answers to the question, else to others about the same fact. Empty: never asked.

    Raises InputError where the table of answers is missing or damaged.
    """
    if not version.has(artifacts.EVALUATE):
        return []
    same = []
    others = []
    for row in version.table(artifacts.ANSWERS, COLUMNS).to_pylist():
        if row["variant"] != variant:
            continue
        answer = {key: row[key] for key in ("question", "answer", "correct")}
        if fold(row["question"]) == fold(question):
            same.append(answer)
        elif fact is not None and row["fact"] == fact:
            others.append(answer)
    return (same or others)[:MOST_ANSWERS]
