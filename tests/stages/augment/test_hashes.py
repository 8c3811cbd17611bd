"""hashes: texts are counted exactly, and several parts are no one text."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.augment.hashes import Hashes, hash_of


@given(st.lists(st.text(max_size=3)), st.text(max_size=3))
def test_texts_are_counted(texts: list[str], other: str) -> None:
    hashes = Hashes()
    for text in texts:
        hashes.add(text)
    counts = Counter(texts)
    for text in [*texts, other]:
        assert hashes.count(text) == counts[text]
        assert (text in hashes) is (counts[text] > 0)
    assert hashes.repeated() == sum(number for number in counts.values() if number > 1)


def test_what_comes_after_a_question_counts() -> None:
    hashes = Hashes()
    hashes.add("iron")
    assert hashes.count("iron") == 1
    hashes.add("iron")
    assert hashes.count("iron") == 2


def test_parts_are_kept_apart() -> None:
    hashes = Hashes()
    hashes.add("symbol", "Fe")
    assert "symbolFe" not in hashes
    assert hashes.count("symbol", "Fe") == 1
    assert 7 not in hashes


def test_the_hash_is_that_of_every_machine() -> None:
    assert hash_of("iron", "Fe") == 5541414513081427471


@pytest.mark.parametrize("text", ["half a pair: \ud800", ""])
def test_any_text_has_a_hash(text: str) -> None:
    assert 0 <= hash_of(text) < 2**64
