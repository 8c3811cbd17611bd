"""How well pictures and captions find each other: recall@k, in both directions.

recall@k of pictures: the share of pictures whose caption is among the k captions that are most like it. A caption
with the same words counts as the picture's own. Guessing reaches about k divided by the number of captions.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
AT = (1, 5)


def recall(pictures: Array, texts: Array, captions: list[str]) -> dict[str, Any]:
    """Return recall@1 and recall@5 of N pairs.

    `pictures`, `texts`: unit vectors (N, D). `captions`: the texts, which say which are equal.
    """
    number = len(captions)
    if number == 0:
        nothing: dict[str, Any] = {"pairs": 0}
        for direction in ("picture_to_text", "text_to_picture"):
            nothing[direction] = {f"at_{k}": None for k in AT}
        return nothing
    similarity = pictures @ texts.T  # (N, N), a row for each picture
    kinds = {caption: place for place, caption in enumerate(dict.fromkeys(captions))}
    groups = np.array([kinds[caption] for caption in captions])
    own = groups[:, None] == groups[None, :]
    return {
        "pairs": number,
        "captions": len(kinds),
        "picture_to_text": shares(ranks(similarity, own)),
        "text_to_picture": shares(ranks(similarity.T, own.T)),
    }


def ranks(similarity: Array, own: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return how many others are at least as like each row's item as the best of its own: int64 (N,).

    An equal similarity counts against the own one, so a model that says the same of all finds nothing.
    """
    best = np.where(own, similarity, -np.inf).max(axis=1)
    others = np.where(own, -np.inf, similarity)
    return np.asarray((others >= best[:, None]).sum(axis=1), dtype=np.int64)


def shares(places: npt.NDArray[np.int64]) -> dict[str, float]:
    """Return the share of items whose own one is among the first k."""
    return {f"at_{k}": round(float((places < k).mean()), 4) for k in AT}


def order(similarity: Array) -> npt.NDArray[np.int64]:
    """Return the places of the most like items, best first. Equal ones keep their order: int64 (N, M)."""
    places = np.argsort(-similarity, axis=1, kind="stable")
    return np.asarray(places, dtype=np.int64)
