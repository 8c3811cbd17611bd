"""What keeps two texts apart that are nearly the same: the numbers that they say, and negations.

A leaflet that says 5 mg is not one that says 50 mg, two tablets are not three, and "is safe in
pregnancy" is the opposite of "is not safe in pregnancy". Such texts share nearly all their phrases,
so similarity does not tell them apart. Each list errs on the safe side: a word of it that means
something else keeps two texts that might have been one.
"""

from pathlib import Path

import polars as pl

from stages.clean.tables import read_words
from stages.clean.terms import NUMBER, Array

DATA = Path(__file__).parent / "data"
NEGATIONS = read_words(DATA / "negations.txt")
NUMBER_WORDS = read_words(DATA / "number_words.txt")
CHINESE_NUMERALS = "[〇零一二两兩三四五六七八九十百千万萬亿億双雙半]+"
"""A number in Chinese: 两, 三十. Also in words such as 一般."""
CHINESE_NEGATIONS = "[不没沒无無非未勿禁忌莫否别別免避]"
"""不, 没有, 禁止, 避免 … Also in words such as 特别."""
OTHER_NEGATIONS = "ない|ません|なし|ずに|않|못|없|안 "
"""Negations of Japanese and Korean, which end words."""

_WORDS = "|".join(sorted((*NEGATIONS, *NUMBER_WORDS), key=lambda word: (-len(word), word)))
# For polars, in the language of Rust's regex crate.
SAID = (
    rf"{NUMBER}"  # 2.5, 120/80
    rf"|\b(?:{_WORDS})\b"  # two, without
    r"|n['’]t\b|\bn['’]"  # isn't, n'est
    rf"|{CHINESE_NUMERALS}|{CHINESE_NEGATIONS}|{OTHER_NEGATIONS}"
)
"""A number or a negation in a folded text."""


def said(folded: pl.Series) -> Array:
    """64 bits that stand for the numbers and negations of each text, in their order: uint64.

    The texts are folded.
    """
    found = folded.str.extract_all(SAID)
    joined = found.list.join(" ")
    return joined.hash(seed=10).to_numpy()
