"""The language of each record, detected in its text: `lang: auto`.

Chinese characters decide first. Where they and kana are at least as many as the words in other
letters, the text is Chinese, or Japanese if more than a tenth of them are kana. Any other text goes
to py3langid (Lui, Baldwin: langid.py, ACL 2012), which is naive Bayes over byte n-grams. As there,
two languages are compared by their log-odds divided by the square root of the text's bytes.

The answer is `und` (ISO 639-2, undetermined) in three cases: the text has fewer than three letters,
two languages are almost equally likely, or a language outside the allowed ones is much likelier.

All sums are of whole multiples of 2⁻²¹, which floating point adds exactly in any order. So neither
threads nor processors change an answer.
"""

import math
import re
import unicodedata
from functools import cache
from typing import Any

import numpy as np

from stages.extract.source import SourceKind

AUTO, UNDETERMINED = "auto", "und"
LONGEST = 600
"""Characters that are examined, from the start of a text."""
FEWEST = 3
"""Least number of letters of a text with a language."""
CLEAR = 0.5
"""Least log-odds of the likeliest language against each other allowed one."""
FOREIGN = 3.0
"""Least log-odds of a language that is not allowed at which it counts as the text's."""
KANA_SHARE = 0.1
"""Share of kana among the East Asian characters above which a text is Japanese."""
EAST_ASIAN = ("zh", "ja")
"""Never the answer for a text without their characters."""
STEPS = 2**12
"""Logarithms are rounded to whole multiples of 1 / STEPS. The model's own are multiples of 2⁻⁹."""

# One Chinese character: the repetition mark 々, and the CJK ideographs of all planes. Example: 铁.
HAN_CLASS = r"\u3005\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
HAN = re.compile(rf"[{HAN_CLASS}]")
# One character of hiragana or katakana. Example: の.
KANA_CLASS = r"\u3041-\u30ff"
KANA = re.compile(rf"[{KANA_CLASS}]")
# A run of letters of other scripts. \w without digits and underscore leaves letters: `iron`, `железо`.
WORD = re.compile(rf"[^\W\d_{HAN_CLASS}{KANA_CLASS}]+")


def of_text(text: str, source: SourceKind) -> str:
    """Return the language of a text of a source: the declared one, or the detected one."""
    if source.lang != AUTO:
        return source.lang
    allowed = tuple(source.langs) if source.langs else None
    return detected(text, allowed)


def problems(source: SourceKind) -> list[str]:
    """List the problems of a source's settings of the language."""
    if source.lang != AUTO:
        if source.langs is not None:
            return ["langs: only with `lang: auto`; remove it, or write lang: auto"]
        return []
    if source.kind == "audio":
        return ["lang: auto is for what is written; name the language that is spoken"]
    if getattr(source, "engine", "") == "tesseract":
        return ["lang: tesseract must be told the language; name it, or set engine: rapidocr"]
    if source.langs == []:
        return ["langs: empty; name the languages that may occur, or leave it out"]
    unknown = sorted(set(source.langs or ()) - known())
    return [
        f"langs: {name!r} is no language that can be found; "
        "write codes of ISO 639-1, such as [en, zh]"
        for name in unknown
    ]


def detected(text: str, allowed: tuple[str, ...] | None) -> str:
    """Return the ISO 639-1 code of a text's language, or `und`.

    `allowed`: the languages that it may be. None: all that the model knows.
    """
    text = text[:LONGEST]
    han, kana, words = len(HAN.findall(text)), len(KANA.findall(text)), WORD.findall(text)
    if han + kana >= max(1, len(words)):
        likely = "ja" if kana > KANA_SHARE * (han + kana) else "zh"
        return likely if allowed is None or likely in allowed else UNDETERMINED
    letters = sum(map(len, words))
    if letters < FEWEST:
        return UNDETERMINED
    return likeliest(text, allowed)


def likeliest(text: str, allowed: tuple[str, ...] | None) -> str:
    """Return the language of a text without East Asian characters, or `und`."""
    scores = model().scores(text)
    labels, is_allowed = allowed_labels(allowed)
    if scores is None or not is_allowed.any():
        return UNDETERMINED
    # Scores of labels that are not allowed become -inf, so that argmax never takes them.
    best = int(np.where(is_allowed, scores, -np.inf).argmax())
    lead = scores[best] - scores
    # The labels of another language: one language may have two labels, one per script.
    is_other = labels != labels[best]
    if (lead[is_allowed & is_other] < CLEAR).any():
        return UNDETERMINED
    if (lead[~is_allowed] < -FOREIGN).any():
        return UNDETERMINED
    return str(labels[best])


@cache
def allowed_labels(allowed: tuple[str, ...] | None) -> tuple[Any, Any]:
    """Return the model's labels, and for each whether it may be the answer.

    Without `allowed`, these are the labels with a code of two letters.
    """
    labels = model().labels
    if allowed:
        eligible = [label in allowed for label in labels]
    else:
        eligible = [len(label) == 2 for label in labels]
    return labels, np.array(eligible) & ~np.isin(labels, EAST_ASIAN)


def known() -> set[str]:
    """Return the codes of all languages that can be detected."""
    return {label for label in model().labels.tolist() if len(label) == 2}


class Model:
    """The model of py3langid, with sums that do not depend on their order."""

    def __init__(self) -> None:
        """Load the model, which takes half a second."""
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
        self.labels = np.array(identifier.nb_classes)
        # The automaton expects each state as the offset of its row, at 256 (2^8) moves a row.
        rows = [row << 8 for row in identifier.tk_row]
        self.automaton = identifier.tk_nextmove, rows, identifier.tk_output
        self.feature_weights = identifier.nb_ptc
        self.prior = np.rint(identifier.nb_pc.astype(np.float64) * STEPS) / STEPS

    def scores(self, text: str) -> Any:
        """Return the log-likelihood of each label, divided by the square root of the text's bytes.

        None: the text holds no n-gram that the model knows.
        """
        from py3langid.langid import visit_counts

        # The model saw hardly any text in capitals.
        shown = text.lower() if text.isupper() else text
        content = unicodedata.normalize("NFC", shown).encode("utf-8", "surrogatepass")
        counts = visit_counts(*self.automaton, content)
        if counts is None:
            return None
        weights = np.array([math.log1p(count) for count in counts.values()])
        exact_weights = np.rint(weights * STEPS) / STEPS
        # (features of the text, labels)
        table = self.feature_weights[list(counts)].astype(np.float64)
        return (exact_weights @ table + self.prior) / math.sqrt(len(content))


@cache
def model() -> Model:
    """Return the model of this process."""
    return Model()
