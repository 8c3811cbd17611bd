"""A FAISS index of records, with stable ids, whose bytes depend on its content alone.

The index is flat: every query is compared with every vector, so nothing near is missed. Its ids are the
ids of the records. FAISS takes an id twice in silence, and a changed order changes the bytes. So an
index is always written whole, sorted by id, and an id that comes twice is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.core.project.errors import InputError, RecordError
from stages.core.project.output import replacing

EXTRA = 'pip install "lorekeep[index]"'
TWO_TO_64 = 2**64
"""FAISS holds ids as signed numbers of 64 bits, and a record's id is 16 hex digits."""

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Hit:
    """A record near a query."""

    record: str
    """The record's id."""
    similarity: float
    """Cosine, in [-1, 1]."""


def write(path: Path, ids: Sequence[str], vectors: Matrix) -> None:
    """Write an index of vectors, float32 of shape (records, dimensions), each of length 1.

    Raises RecordError for an id that comes twice, and where the numbers of ids and vectors differ.
    """
    faiss = library()
    if len(ids) != len(vectors):
        raise RecordError(f"{path}: {len(ids)} ids for {len(vectors)} vectors")
    order = sorted(range(len(ids)), key=ids.__getitem__)
    for left, right in pairwise(order):
        if ids[left] == ids[right]:
            raise RecordError(f"{path}: two records have the id {ids[left]}")

    flat = faiss.IndexFlatIP(vectors.shape[1])
    index = faiss.IndexIDMap2(flat)
    if order:
        numbers = np.array([to_number(ids[place]) for place in order], dtype=np.int64)
        index.add_with_ids(np.ascontiguousarray(vectors[order]), numbers)
    with replacing(path) as temporary:
        faiss.write_index(index, str(temporary))


def read(path: Path) -> Any:
    """Read an index. Raises InputError where it is missing or damaged."""
    faiss = library()
    if not path.is_file():
        raise InputError(f"{path}: not found; set index.encoder and run dvc repro index")
    try:
        # Its type is known already: downcast_index would return a view of memory that is freed at once.
        return faiss.read_index(str(path))
    except (RuntimeError, MemoryError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: not a FAISS index ({reason}); dvc checkout --force {path.parent} brings the "
            "recorded one back"
        ) from None


def search(index: Any, query: NDArray[np.float32], most: int) -> list[Hit]:
    """Return the records nearest to a vector of shape (dimensions,), the nearest first.

    Equal similarities come in the order of ids. Raises InputError where the query has another number of
    dimensions than the index, as after a change of the encoder.
    """
    if len(query) != index.d:
        raise InputError(
            f"the index has {index.d} dimensions and the encoder {len(query)}; "
            "run dvc repro index, so that one encoder makes both"
        )
    similarities, numbers = index.search(query.reshape(1, -1), most)
    hits = []
    for similarity, number in zip(similarities[0], numbers[0], strict=True):
        if number != -1:  # FAISS fills up with -1 where it holds fewer records
            hits.append(Hit(to_id(int(number)), float(similarity)))
    return sorted(hits, key=lambda hit: (-hit.similarity, hit.record))


def ids_of(index: Any) -> list[str]:
    """Return the ids of all records of an index, sorted."""
    faiss = library()
    numbers = faiss.vector_to_array(index.id_map)
    return sorted(to_id(int(number)) for number in numbers)


def to_number(record: str) -> int:
    """Return a record's id as a signed number of 64 bits: 0000000000000001 is 1, fffffffffffffffe is -2.

    Raises RecordError for anything but 16 hex digits, and for ffffffffffffffff. That would be -1, which
    FAISS returns where it found nothing.
    """
    try:
        number = int(record, 16)
    except ValueError:
        number = -1
    if len(record) != 16 or not 0 <= number < TWO_TO_64 - 1:
        raise RecordError(f"{record!r} is no id of a record: 16 hex digits are needed")
    return number - TWO_TO_64 if number >= TWO_TO_64 // 2 else number


def to_id(number: int) -> str:
    """Return the record's id of a signed number of 64 bits."""
    return f"{number % TWO_TO_64:016x}"


def library() -> Any:
    """Return the library faiss. Raises InputError where it is not installed."""
    if find_spec("faiss") is None:
        raise InputError(f"index: faiss is not installed; {EXTRA}")
    import faiss

    return faiss
