"""Questions of free question–answer records, in the form in which they are compared.

That is NFKC, lower case, single blanks, and no punctuation at the end.

A question that does not name its subject ("How long does it last?") is about that subject. It is
the same as another such question only if that is about the same subject. A question from which
personal data was taken ("When was <PERSON> born?") may have been about anybody, so it is compared
with none.
"""

import numpy as np
import polars as pl

from stages.clean.filters import apart as apart_words
from stages.clean.terms import WORD, Array, Terms, fold, names, phrases, words

AT_THE_END = r"[\s?!.,;:。、~؟،؛।]+$"
"""Punctuation and white space at the end of a text: ` ?`, `...`, `。`. After NFKC, full-width forms
such as ？ are plain."""
PLACED = r"<[A-Z_]{2,20}>|\*{2}"
"""What `personal` leaves alike in place of different things: <PERSON>, or the ** of a masked
number."""
SEPARATOR = "\x1f"
"""Between joined columns. Clean text has no such character."""


def folded(questions: pl.Series, exact: bool = False) -> pl.Series:
    """The form in which questions are compared. `exact`: case counts.

    A question of nothing but punctuation stays as it is.
    """
    spaced = fold(questions, exact).str.replace_all(r"\s+", " ").str.strip_chars()
    bare = spaced.str.replace(AT_THE_END, "")
    return bare.zip_with(bare != "", spaced)


def keys(frame: pl.DataFrame, exact: bool = False) -> Array:
    """128 bits that stand for what each question asks: uint64 [records, 2]. `exact`: case counts."""
    table = pl.DataFrame(
        {
            "asked": folded(frame["question"], exact),
            "subject": folded(frame["subject"].fill_null(""), exact),
        }
    )
    names_subject = pl.col("asked").str.contains(pl.col("subject"), literal=True)
    subject = pl.when(names_subject).then(pl.lit("")).otherwise("subject")
    asked = table.select(pl.concat_str("asked", subject, separator=SEPARATOR))["asked"]
    return np.column_stack([asked.hash(seed=7).to_numpy(), asked.hash(seed=8).to_numpy()])


def comparable(questions: pl.Series) -> pl.Series:
    """Which questions are still those that were asked: bool."""
    return ~questions.str.contains(PLACED)


def answered(frame: pl.DataFrame, said: Terms, apart: bool, exact: bool = False) -> Terms:
    """The phrases by which texts are near duplicates.

    `frame` has the texts, `said` all their phrases. A phrase is the same only in texts of one
    context:

    - Texts about different subjects are no near duplicates. The leaflets of two medicines may differ
      in nothing but the names.
    - An answer has its own phrases, which are the same only under one question. Two diseases may
      have one answer, and both questions are worth keeping. The texts of a long question with the
      answers yes and no are the same but for one word.
    - `apart`: texts that say other numbers, or that differ in a negation, are none either.

    `exact`: case counts.
    """
    is_pair = frame["question"].is_not_null()
    has_subject = frame["subject"].is_not_null()
    if not (is_pair.any() or has_subject.any() or apart):
        return said

    texts = fold(frame["text"], exact)
    # Phrases are mixed with these 64 bits of their text, by exclusive or. 0 changes nothing.
    context = np.zeros(len(frame), dtype=np.uint64)
    if has_subject.any():
        subjects = names(frame["subject"], exact).hash(seed=11).to_numpy()
        context = np.where(has_subject.to_numpy(), subjects, context)
    if is_pair.any():
        answers = fold(frame["answer"].fill_null(""), exact)
        # An answer of signs alone, such as + or −, has no words. Its hash is its word.
        has_words = answers.str.contains(WORD)
        answers = answers.zip_with(has_words, answers.hash(seed=9).cast(pl.String))
        texts = answers.zip_with(is_pair, texts)
        said = phrases(words(texts))
        # The key of a question has its subject, unless the question names it.
        asked = keys(frame.with_columns(pl.col("question").fill_null("")), exact)[:, 0]
        context = np.where(is_pair.to_numpy(), asked, context)
    if apart:
        context = context ^ apart_words.said(texts.str.to_lowercase())
    context_of_phrase = np.repeat(context, said.counts)
    return Terms(said.hashes ^ context_of_phrase, said.starts)
