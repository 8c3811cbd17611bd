"""Repeats are those that a comparison of all pairs finds. The earliest record stays."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.clean.filters import repeats
from stages.clean.filters.repeats import BANDS, ROWS, Signatures, Stored, earlier, signatures, store
from stages.clean.terms import Terms, fold, phrases, words

VOCABULARY = (
    "alloy boil carbon dense ember flame glass heat iron jewel krypton lead metal neon ore platinum"
).split()
LONG = " ".join(VOCABULARY * 3)
LEAFLET = " ".join(
    first + second for first in "bcdfghjklm" for second in ("am", "en", "is", "or", "ut")
)
"""Fifty words, no two alike."""


def words_of(texts: pl.Series) -> Terms:
    return words(fold(texts))


def signed(texts: list[str]) -> np.ndarray:  # type: ignore[type-arg]
    return signatures(phrases(words_of(pl.Series(texts))))


def stored(folder: Path, *batches: np.ndarray) -> Signatures:  # type: ignore[type-arg]
    """Signatures of a corpus of these batches."""
    found = Signatures()
    for number, batch in enumerate(batches):
        files = Stored(folder / f"{number}.npy", folder / f"{number}.bands", len(batch))
        store(batch, files.values, files.bands)
        found.append(files)
    return found


def alike(
    folder: Path, texts: list[str], similarity: float, step: int = 3
) -> list[tuple[int, int]]:
    rows = signed(texts)
    found = stored(folder, *(rows[start : start + step] for start in range(0, len(texts), step)))
    later, first, share = found.alike(np.ones(len(texts), dtype=bool), similarity)
    assert all(similarity <= much <= 1 for much in share)
    return list(zip(later.tolist(), first.tolist(), strict=True))


def test_the_earliest_of_those_that_are_alike_stays(tmp_path: Path) -> None:
    texts = [
        LONG,
        "Iron rusts in moist air.",
        LONG.replace("neon", "argon", 1),
        LONG + " quite",
        "Gold does not tarnish at all.",
    ]
    assert alike(tmp_path, texts, 0.7) == [(2, 0), (3, 0)]


def test_short_texts_that_differ_are_not_alike(tmp_path: Path) -> None:
    assert alike(
        tmp_path, ["The dose of A is 5 mg.", "The dose of A is 6 mg.", "Yes.", "No.", "", "."], 0.7
    ) == [(5, 4)]


def test_chinese_texts_are_compared_by_words(tmp_path: Path) -> None:
    text = "患者今日服用阿司匹林一百毫克，饭后半小时服用，每日一次，连续服用七天后复查血压和心率，如有不适请及时就诊。"
    assert alike(
        tmp_path, [text, text.replace("七天", "八天"), "铁在潮湿的空气中会生锈。"], 0.7
    ) == [(1, 0)]


def test_what_is_set_aside_already_keeps_nothing_out(tmp_path: Path) -> None:
    later, first, _ = stored(tmp_path, signed([LONG, LONG, LONG])).alike(
        np.array([False, True, True]), 0.9
    )
    assert (later.tolist(), first.tolist()) == ([2], [1])


def test_no_texts_no_repeats(tmp_path: Path) -> None:
    found = stored(tmp_path, np.zeros((0, BANDS * ROWS), dtype=np.uint32))
    assert [len(part) for part in found.alike(np.zeros(0, dtype=bool), 0.7)] == [0, 0, 0]


@settings(deadline=None, max_examples=25)
@given(
    st.lists(
        st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=30).map(" ".join),
        min_size=2,
        max_size=12,
    ),
    st.integers(1, 5),
    st.sampled_from([1, 3, repeats.COMPARED]),
)
def test_as_comparing_all_pairs_finds_them(texts: list[str], step: int, compared: int) -> None:
    import tempfile

    texts = texts + [f"{text} {text}" for text in texts]
    rows = signed(texts)
    stay: list[int] = []
    expected = set()
    for number in range(len(texts)):
        like = [other for other in stay if (rows[number] == rows[other]).mean() >= 0.9]
        expected |= {number} if like else set()
        stay += [] if like else [number]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(repeats, "COMPARED", compared)
        found = alike(Path(folder), texts, 0.9, step)
    assert {later for later, _ in found} == expected
    assert all(first in stay for _, first in found)


@given(st.lists(st.integers(0, 4), max_size=30), st.integers(1, 9), st.data())
def test_earlier_is_the_first_that_is_alive(
    values: list[int], compared: int, data: st.DataObject
) -> None:
    alive = np.array(
        data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))), dtype=bool
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repeats, "COMPARED", compared)
        later, first = earlier(
            np.array([(value, value * 7) for value in values], dtype=np.uint64).reshape(-1, 2),
            alive,
        )
    seen: dict[int, int] = {}
    expected = {}
    for row, value in enumerate(values):
        if alive[row] and seen.setdefault(value, row) != row:
            expected[row] = seen[value]
    assert dict(zip(later.tolist(), first.tolist(), strict=True)) == expected


@pytest.mark.parametrize("share", [0.7, 0.8, 0.9])
def test_similarity_is_estimated(share: float) -> None:
    common = [f"w{number}" for number in range(300)]
    other = common[: int(300 * share)] + [f"x{number}" for number in range(300 - int(300 * share))]
    one, two = signed([" ".join(common), " ".join(other)])
    union = 2 * 298 - (int(300 * share) - 2)
    assert (one == two).mean() == pytest.approx((int(300 * share) - 2) / union, abs=0.12)


def keys_of(*rows: tuple[str, str | None], exact: bool = False) -> list[int]:
    """For each (text, subject) the number of the first one that is the same."""
    texts, subjects = zip(*rows, strict=True)
    columns = dict.fromkeys(("question", "answer", "source", "fact", "value", "unit"))
    frame = pl.DataFrame(
        {"text": texts, "subject": subjects, "kind": "statement"} | columns,
        schema_overrides=dict.fromkeys((*columns, "subject"), pl.String),
    )
    meta = pl.Series([""] * len(rows))
    found = repeats.keys(frame, fold(frame["text"], exact), meta, exact)[:, 0].tolist()
    return [found.index(key) for key in found]


def test_a_text_that_does_not_name_its_subject_repeats_no_other_subject() -> None:
    rows = [
        ("It melts easily.", "lead"),
        ("It melts easily.", "tin"),
        ("IT melts easily.", "Lead"),
        ("It melts easily.", None),
        ("Lead melts easily.", "lead"),
        ("Lead melts easily.", None),
        ("Lead melts easily.", "metal"),
        ("铅很软。", "铅"),
        ("铅很软。", None),
        ("它很软。", "铅"),
        ("它很软。", "锡"),
    ]
    assert keys_of(*rows) == [0, 1, 0, 3, 4, 4, 6, 7, 7, 9, 10]


def test_two_pictures_with_one_caption_are_no_repeats() -> None:
    columns = dict.fromkeys(("question", "answer", "source", "fact", "value", "unit", "subject"))
    texts = {"text": ["a lump of ore"] * 4, "kind": ["picture", "picture", "picture", "statement"]}
    frame = pl.DataFrame(texts | columns, schema_overrides=dict.fromkeys(columns, pl.String))
    meta = pl.Series(["a.png", "b.png", "a.png", "a.png"])
    found = repeats.keys(frame, fold(frame["text"]), meta)[:, 0].tolist()
    assert [found.index(key) for key in found] == [0, 1, 0, 3]


def test_case_counts_where_names_are_exact() -> None:
    rows = [("Polish it.", None), ("polish it.", None)]
    assert keys_of(*rows) == [0, 0]
    assert keys_of(*rows, exact=True) == [0, 1]
    symbols = [("It burns.", "CO"), ("It burns.", "Co"), ("It burns.", "CO ")]
    assert keys_of(*symbols) == [0, 1, 0]
