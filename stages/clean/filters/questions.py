"""Questions of free question–answer records, as they are compared: NFKC, lower case, single blanks, no punctuation at the end.

A question that does not name its subject ("How long does it last?") is about that subject, and the same as another only of the
same subject. One from which personal data was taken ("When was <PERSON> born?") may have been about anybody, and is compared
with none.
"""

import numpy as np
import polars as pl

from stages.clean.filters.terms import WORD, Array, Terms, fold, numbers, phrases, words

AT_THE_END = r"[\s?!.,;:。、~؟،؛।]+$"
"""After NFKC, which makes the full-width forms plain."""
PLACED = r"<[A-Z_]{2,20}>|\*{2}"
"""What `personal` leaves in place of different things alike."""


def folded(questions: pl.Series) -> pl.Series:
    """The form in which questions are compared; of one that is punctuation alone all of it."""
    spaced = fold(questions).str.replace_all(r"\s+", " ").str.strip_chars()
    bare = spaced.str.replace(AT_THE_END, "")
    return bare.zip_with(bare != "", spaced)


def keys(frame: pl.DataFrame) -> Array:
    """128 bits that stand for what each of the questions asks: uint64 [records, 2]."""
    asked, subject = folded(frame["question"]), folded(frame["subject"].fill_null(""))
    named = pl.col("asked").str.contains(pl.col("subject"), literal=True)
    about = pl.concat_str(
        "asked", pl.when(named).then(pl.lit("")).otherwise("subject"), separator="\x1f"
    )
    whole = pl.DataFrame({"asked": asked, "subject": subject}).select(about)["asked"]
    return np.column_stack([whole.hash(seed=7).to_numpy(), whole.hash(seed=8).to_numpy()])


def comparable(questions: pl.Series) -> pl.Series:
    """Which questions are still those that were asked: bool."""
    return ~questions.str.contains(PLACED)


def answered(frame: pl.DataFrame, said: Terms, apart: bool) -> Terms:
    """The phrases by which texts are near duplicates: of an answer its own, which are the same only under one question.

    `frame` has the texts, `said` are all their phrases. Two diseases may have one answer, and it is worth asking for both; and
    of a long question with a short answer, all but the answer is the same: yes and no. `apart`: phrases are the same only in
    texts that say the same numbers.
    """
    asked = frame["question"].is_not_null()
    if not (asked.any() or apart):
        return said
    texts, under = fold(frame["text"]), np.zeros(len(frame), dtype=np.uint64)
    if asked.any():
        answers = fold(frame["answer"].fill_null(""))
        told = answers.zip_with(
            answers.str.contains(WORD), answers.hash(seed=9).cast(pl.String)
        )  # signs alone: + or −
        texts = told.zip_with(asked, texts)
        said = phrases(words(texts))
        under = np.where(
            asked.to_numpy(), folded(frame["question"].fill_null("")).hash(seed=6).to_numpy(), under
        )
    if apart:
        under = under ^ numbers(texts)
    return Terms(said.hashes ^ np.repeat(under, said.counts), said.starts)
