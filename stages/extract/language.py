"""The language of each record, found in its text: `lang: auto`.

Chinese characters decide first: where they and kana are at least as many as the words in other letters, the text is Chinese, or
Japanese if more than a tenth of them are kana. Any other text goes to py3langid (Lui, Baldwin: langid.py, ACL 2012): naive Bayes
over byte n-grams. How much likelier one language is than another is measured as there, in log-odds divided by the square root of
the text's bytes.

`und` (ISO 639-2): fewer than three letters; two languages nearly as likely as each other; or, much likelier than any that may be
chosen, another one. Sums are of whole multiples of 2⁻²¹, so that neither threads nor processors change an answer.
"""

import math
import re
import unicodedata
from functools import cache
from typing import Any

import numpy as np

AUTO, UNDETERMINED = "auto", "und"
LONGEST = 600
"""Characters that are looked at, from the start: of a longer text they tell enough."""
FEWEST = 3
"""Letters without which a text is in no language."""
CLEAR = 0.5
"""Least log-odds of the likeliest language against each other one that may be chosen."""
FOREIGN = 3.0
"""Log-odds from which on a language that may not be chosen is taken to be the text's."""
KANA_SHARE = 0.1
HAN = re.compile(r"[\u3005\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
KANA = re.compile(r"[\u3041-\u30ff]")
WORD = re.compile(r"[^\W\d_\u3005\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")
EAST_ASIAN = ("zh", "ja")
"""Never the answer for a text without their characters."""
STEPS = 2**12
"""Logarithms are whole multiples of 1 / STEPS; what the model holds are multiples of 2⁻⁹."""


def of_text(text: str, source: Any) -> str:
    """The language of a text of a source: the one it declares, or the one that is found."""
    return (
        source.lang if source.lang != AUTO else detected(text, source.langs and tuple(source.langs))
    )


def problems(source: Any) -> list[str]:
    """What is wrong with the settings of a source's language."""
    if source.lang != AUTO:
        return ["langs: only with `lang: auto`; remove it, or write lang: auto"] * (
            source.langs is not None
        )
    if source.kind == "audio":
        return ["lang: auto is for what is written; name the language that is spoken"]
    if getattr(source, "engine", "") == "tesseract":
        return ["lang: tesseract must be told the language; name it, or set engine: rapidocr"]
    if source.langs == []:
        return ["langs: empty; name the languages that may occur, or leave it out"]
    unknown = sorted(set(source.langs or ()) - known())
    return [
        f"langs: {name!r} is no language that can be found; write codes of ISO 639-1, such as [en, zh]"
        for name in unknown
    ]


def detected(text: str, langs: tuple[str, ...] | None) -> str:
    """ISO 639-1 code of the language of a text, or `und`; `langs`: those that it may be, None for all that the model knows."""
    text = text[:LONGEST]
    han, kana, words = len(HAN.findall(text)), len(KANA.findall(text)), WORD.findall(text)
    if han + kana >= max(1, len(words)):
        likely = "ja" if kana > KANA_SHARE * (han + kana) else "zh"
        return likely if langs is None or likely in langs else UNDETERMINED
    return UNDETERMINED if sum(map(len, words)) < FEWEST else likeliest(text, langs)


def likeliest(text: str, langs: tuple[str, ...] | None) -> str:
    """The language of a text in other letters than Chinese ones."""
    scores, (labels, chosen) = model().scores(text), choice(langs)
    if scores is None or not chosen.any():
        return UNDETERMINED
    best = int(np.where(chosen, scores, -np.inf).argmax())
    ahead = scores[best] - scores
    others = labels != labels[best]  # one language may have two columns, one per script
    if (ahead[chosen & others] < CLEAR).any() or (ahead[~chosen] < -FOREIGN).any():
        return UNDETERMINED
    return str(labels[best])


@cache
def choice(langs: tuple[str, ...] | None) -> tuple[Any, Any]:
    """The model's labels, and which of them may be chosen: of all, those with a code of two letters."""
    labels = model().labels
    eligible = [label in langs if langs else len(label) == 2 for label in labels]
    return labels, np.array(eligible) & ~np.isin(labels, EAST_ASIAN)


def known() -> set[str]:
    """Codes of all languages that can be found."""
    return {label for label in model().labels.tolist() if len(label) == 2}


class Model:
    """py3langid's model, with sums that do not depend on their order."""

    def __init__(self) -> None:
        """Load it: half a second."""
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        found = LanguageIdentifier.from_model_file(MODEL_FILE)
        self.labels = np.array(found.nb_classes)
        self.automaton = found.tk_nextmove, [row << 8 for row in found.tk_row], found.tk_output
        self.of_feature = found.nb_ptc
        self.prior = np.rint(found.nb_pc.astype(np.float64) * STEPS) / STEPS

    def scores(self, text: str) -> Any:
        """Log-likelihood of each label, divided by the square root of the text's bytes; None where nothing in it tells."""
        from py3langid.langid import visit_counts

        content = unicodedata.normalize("NFC", text.lower() if text.isupper() else text).encode(
            "utf-8", "surrogatepass"
        )
        counts = visit_counts(*self.automaton, content)
        if counts is None:
            return None
        weights = np.array([math.log1p(count) for count in counts.values()])
        table = self.of_feature[list(counts)].astype(np.float64)
        return (np.rint(weights * STEPS) / STEPS @ table + self.prior) / math.sqrt(len(content))


@cache
def model() -> Model:
    """The one model of this process."""
    return Model()
