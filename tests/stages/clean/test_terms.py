from collections import Counter
from itertools import pairwise

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from stages.clean.terms import HAN, PHRASE, WORD, Terms, fold, phrases, words
from stages.core.records import record

HASHES = [10723243065639218400, 1642532299679306556, 16529568360817888867, 6646107552834472840]
TEXTS = st.lists(st.text(st.sampled_from("ab 铁锈，."), max_size=25), min_size=1, max_size=6)


def words_of(texts: pl.Series) -> Terms:
    return words(fold(texts))


def test_hashes_are_those_that_results_were_made_with() -> None:
    assert words_of(pl.Series(["iron rusts", "铁生锈"])).hashes.tolist() == HASHES


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4))
def test_words_are_runs_of_letters_marks_and_digits(texts: list[str]) -> None:
    folded = fold(pl.Series(texts)).str.replace_all(HAN, "-")  # those are jieba's
    runs = folded.str.extract_all(WORD)
    assert words(folded).counts.tolist() == runs.list.len().to_list()
    assert words(folded).hashes.tolist() == runs.explode(empty_as_null=False).hash(seed=1).to_list()


def test_case_width_and_spacing_do_not_matter() -> None:
    found = words_of(pl.Series(["Iron  RUSTS.", "ｉｒｏｎ rusts"]))
    assert found.counts.tolist() == [2, 2]
    assert found.hashes[:2].tolist() == found.hashes[2:].tolist()
    assert fold(pl.Series(["Ｉron rusts", None])).to_list() == ["iron rusts", None]


def test_a_raised_digit_is_no_digit_of_the_number() -> None:
    texts = ["10³ cells", "103 cells", "1½ cups", "CO₂", "10⁻³", "x² 5", "³5", "①2", None]
    folded = fold(pl.Series(texts)).to_list()
    assert folded[:4] == ["10^3 cells", "103 cells", "1^1⁄2 cups", "co2"]
    for text, found in zip(texts, folded, strict=True):
        assert found is None or found == record.fold(str(text))


def test_exact_keeps_case_and_width() -> None:
    texts = pl.Series(["CO and Co", "Ｃo", "e\u0301", None])
    assert fold(texts, exact=True).to_list() == ["CO and Co", "Ｃo", "\u00e9", None]


def test_chinese_is_cut_into_words() -> None:
    assert words_of(pl.Series(["患者今日服用阿司匹林100毫克。"])).counts.tolist() == [6]


@given(TEXTS)
def test_words_are_those_of_each_text_alone(texts: list[str]) -> None:
    whole = words_of(pl.Series(texts))
    alone = [words_of(pl.Series([text])).hashes.tolist() for text in texts]
    assert [whole.hashes[a:b].tolist() for a, b in pairwise(whole.starts)] == alone
    assert whole.counts.tolist() == [len(found) for found in alone]
    assert Counter(whole.texts.tolist()) == Counter(
        {number: len(found) for number, found in enumerate(alone) if found}
    )


@given(TEXTS)
def test_phrases_are_those_of_each_text_alone(texts: list[str]) -> None:
    found = words_of(pl.Series(texts))
    whole = phrases(found)
    alone = [phrases(words_of(pl.Series([text]))).hashes.tolist() for text in texts]
    assert [whole.hashes[a:b].tolist() for a, b in pairwise(whole.starts)] == alone
    assert [len(each) for each in alone] == [
        max(n - PHRASE + 1, min(n, 1)) for n in found.counts.tolist()
    ]


def test_the_order_of_words_counts() -> None:
    there, back = (
        phrases(words_of(pl.Series([text]))).hashes
        for text in ("iron rusts slowly", "slowly rusts iron")
    )
    assert there.tolist() != back.tolist()


def test_sums_are_per_text() -> None:
    found = words_of(pl.Series(["a b", "", "c"]))
    assert found.sums(np.array([1, 2, 4])).tolist() == [3, 0, 4]


@given(TEXTS, st.data())
def test_each_term_once_and_chosen_texts(texts: list[str], data: st.DataObject) -> None:
    found = words_of(pl.Series(texts))
    once = found.once()
    alone = [words_of(pl.Series([text])).hashes.tolist() for text in texts]
    assert [once.hashes[a:b].tolist() for a, b in pairwise(once.starts)] == [
        sorted(set(each)) for each in alone
    ]
    chosen = np.array(data.draw(st.lists(st.booleans(), min_size=len(texts), max_size=len(texts))))
    assert found.of(chosen).hashes.tolist() == [
        h for each, take in zip(alone, chosen, strict=True) if take for h in each
    ]
