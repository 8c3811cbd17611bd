"""Statements that tie a picture to what is known about its subject.

The facts of a picture are those of the subject that its caption names in its column, and of no other. Of these the
ones whose plain text lies nearest to the picture are stated beside its caption: "The picture crystal_Fe.png shows
the crystal lattice of iron. The category of iron is transition metal."
"""

from collections import Counter
from collections.abc import Sequence
from string import Formatter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stages.core.records import record
from stages.pictures.retrieval import order

Row = dict[str, Any]
Array = npt.NDArray[np.float32]
SHOWS = {
    "en": "The picture {picture} shows {caption}.",
    "zh": "图片{picture}显示的是{caption}。",
}
"""Sentences about what a picture shows, by language."""
TELLS = {
    "en": "The {attribute} of {subject} is {value}.",
    "zh": "{subject}的{attribute}是{value}。",
}
"""Sentences about a fact, by language."""
SLOTS = {"shows": {"picture", "caption"}, "tells": {"subject", "attribute", "value"}}
STOPS = ".。"
"""What ends a sentence. A caption that is set into another one loses it."""


class Sentences(NamedTuple):
    """The sentences of a project."""

    shows: dict[str, str]
    tells: dict[str, str]


def problems(sentences: Sentences) -> list[str]:
    """Return what is wrong with sentences, each with its key below `pictures`."""
    found = []
    for key, slots in SLOTS.items():
        for lang, sentence in getattr(sentences, key).items():
            wanted = ", ".join(f"{{{slot}}}" for slot in sorted(slots))
            try:
                used = {name for _, name, _, _ in Formatter().parse(sentence) if name is not None}
            except ValueError as error:
                found.append(f"{key}.{lang}: {error}; write a sentence with {wanted}")
                continue
            if used != slots:
                found.append(f"{key}.{lang}: {sentence!r} must have {wanted}, and no other slot")
    for lang in sorted(sentences.shows.keys() ^ sentences.tells.keys()):
        found.append(f"shows, tells: one of the two has no sentence for {lang!r}; write both")
    return found


def facts_by_subject(records: Sequence[Row], names: record.Names) -> dict[str, list[Row]]:
    """Return the best record of each fact by the compared name of its subject.

    Records stand in the order of the sources' priority, so the first one of a fact is the best.
    """
    best: dict[str, Row] = {}
    for row in records:
        if row["fact"]:
            best.setdefault(row["fact"], row)
    by_subject: dict[str, list[Row]] = {}
    for row in best.values():
        by_subject.setdefault(record.compared_name(row["subject"], names), []).append(row)
    return by_subject


def nearest(picture: Array, facts: Sequence[Row], vectors: Array, number: int) -> list[Row]:
    """Return the facts nearest to a picture (D), best first. `vectors`: of the facts' texts (N, D)."""
    if not facts or number == 0:
        return []
    similarity = (vectors @ picture)[None, :]
    return [facts[place] for place in order(similarity)[0][:number]]


def statements(
    caption: Row,
    picture: str,
    facts: Sequence[Row],
    sentences: Sentences,
    meta: str,
    missing: Counter[str],
) -> list[Row]:
    """Return the statements of a picture: one for each of its facts, or one of its caption alone.

    A language without sentences is counted in `missing`.
    """
    lang = caption["lang"]
    if lang not in sentences.shows:
        missing[lang] += 1
        return []
    text = caption["text"].strip().rstrip(STOPS)
    shown = sentences.shows[lang].format(picture=picture, caption=text)
    if not facts:
        return [statement(caption, "caption", shown, [caption["id"]], meta)]
    rows = []
    for fact in facts:
        value = " ".join(part for part in (fact["value"], fact["unit"]) if part)
        told = sentences.tells[lang].format(
            subject=fact["subject"], attribute=fact["attribute"], value=value
        )
        blank = "" if lang == "zh" else " "
        parents = [caption["id"], fact["id"]]
        rows.append(statement(caption, fact["fact"], f"{shown}{blank}{told}", parents, meta))
    return rows


def statement(caption: Row, about: str, text: str, parents: list[str], meta: str) -> Row:
    """Return one row. `about` tells the statements of one picture apart."""
    locator = f"{caption['id']}/{about}"
    return {
        "id": record.record_id("pictures", locator),
        "source": "pictures",
        "locator": locator,
        "kind": "statement",
        "text": text,
        "lang": caption["lang"],
        "subject": caption["subject"],
        "parents": parents,
        "meta": meta,
    }
