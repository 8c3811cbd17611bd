"""Words that a masked language model (BERT) puts in place of words that WordNet has no synonym for.

A masked model gives words that fit the sentence, not words that mean the same: for "increase", often
"decrease". So a candidate is kept only if all of this holds:

- The word that it replaces may be replaced (`synonyms.kept_because`), and WordNet has no safe synonym for it.
- The candidate is one plain word, neither protected nor a function word, with the ending of the word (-s, -ed,
  -ing, -ly), and WordNet does not know it as an opposite of the word.
- The sentence with it is at least `masked_similarity` like the one before, by the vectors of `augment.encoder`.

In Chinese, words are those of jieba (rjieba). A word of two characters or more is replaced by one that jieba
cuts as one word in that sentence, with as many characters. Negation, comparison, numbers and units stay.

Similarity alone is no proof that a meaning is kept (docs/experiments.md), so the model is off by default.
"""

import re
from collections import Counter
from collections.abc import Iterator, Set

from stages.augment import checkpoints, sentence
from stages.augment.synonyms import (
    FUNCTION_WORDS,
    PLAIN_WORD,
    TOKEN,
    Replacement,
    Thesaurus,
    fits_article,
    is_protected,
    kept_because,
)

MOST_WORDS = 8
"""Words of a text that are masked. More take more time."""
ENDINGS = ("ing", "ed", "ly", "s")
# Two Chinese characters or more, and nothing else.
HAN_WORD = re.compile(r"[\u3400-\u9fff]{2,}")
# Characters of Chinese words that stay: negation, comparison, degree, position, numbers and units.
HAN_KEPT = re.compile(
    r"[不没無无未非莫勿别否比较更最很太极超过少多大小高低长短轻重上下前后左右先增减升降"
    r"一二三四五六七八九十百千万亿两半第几每克米升度秒分时天日周月年元岁倍次个种]"
)


class MaskedWords:
    """Makes variants, and counts what was refused."""

    def __init__(
        self,
        thesaurus: Thesaurus,
        masked: checkpoints.Model,
        encoder: checkpoints.Model | None,
        similarity: float,
    ) -> None:
        """`similarity`: least cosine between the vectors of the sentence before and after."""
        self._thesaurus = thesaurus
        self._masked = masked
        self._encoder = encoder
        self._similarity = similarity
        self.refused: Counter[str] = Counter()
        """Number of refused candidates by reason."""
        self.made = 0
        """Number of variants."""

    def replacements(
        self, text: str, lang: str, wanted: int, protected: Set[str]
    ) -> list[Replacement]:
        """Return up to `wanted` texts, each with one word replaced, in the order of the words."""
        found: list[Replacement] = []
        if wanted == 0 or lang not in ("en", "zh"):
            return found
        places = list(self._places(text, lang, protected))[:MOST_WORDS]
        for start, end in places:
            replacement = self._best(text, (start, end), places, lang, protected)
            if replacement is not None:
                found.append(replacement)
            if len(found) == wanted:
                break
        self.made += len(found)
        return found

    def _places(self, text: str, lang: str, protected: Set[str]) -> Iterator[tuple[int, int]]:
        """Yield where the words stand that may be replaced, and that WordNet has no synonym for."""
        if lang == "zh":
            yield from chinese_places(text, protected)
            return
        for match in TOKEN.finditer(text):
            word = match.group()
            if word.startswith("{"):
                continue
            before, after = text[: match.start()], text[match.end() :]
            if kept_because(before, word, after, protected) is not None:
                continue
            if self._thesaurus.has_none(word):
                yield match.start(), match.end()

    def _best(
        self,
        text: str,
        place: tuple[int, int],
        places: list[tuple[int, int]],
        lang: str,
        protected: Set[str],
    ) -> Replacement | None:
        """Return the variant with the most similar candidate for one word, or None."""
        start, end = place
        begin, stop = sentence.bounds(text, start)
        # All words of a sentence are asked for at once, and remembered together.
        spans = [(a - begin, b - begin) for a, b in places if begin <= a and b <= stop]
        asked = checkpoints.proposals(text[begin:stop], spans, self._masked, self._encoder)
        proposed = asked[spans.index((start - begin, end - begin))]
        kept: list[tuple[float, str]] = []
        for candidate, similarity in proposed:
            reason = self._wrong(text, place, candidate, lang, protected)
            if reason is None and similarity < self._similarity:
                reason = "less_similar"
            if reason is None:
                kept.append((-similarity, candidate))
            else:
                self.refused[reason] += 1
        if not kept:
            return None
        _, candidate = min(kept)
        return Replacement(text[:start] + candidate + text[end:], text[start:end], candidate)

    def _wrong(
        self, text: str, place: tuple[int, int], candidate: str, lang: str, protected: Set[str]
    ) -> str | None:
        """Return the reason why a candidate may not be taken, whatever its similarity, or None."""
        start, end = place
        word = text[start:end]
        if candidate == word:
            return "same_word"
        if lang == "zh":
            return wrong_in_chinese(text, place, candidate, protected)
        if not PLAIN_WORD.fullmatch(candidate) or len(candidate) < 3:
            return "not_plain"
        if candidate in FUNCTION_WORDS:
            return "function_word"
        if is_protected(candidate, protected):
            return "protected_synonym"
        for ending in ENDINGS:
            if candidate.endswith(ending) != word.endswith(ending):
                return "other_ending"
        if self._thesaurus.are_opposites(word, candidate):
            return "opposite"
        if not fits_article(text[:start], candidate):
            return "article"
        return None


def chinese_places(text: str, protected: Set[str]) -> Iterator[tuple[int, int]]:
    """Yield where the Chinese words stand that may be replaced."""
    import rjieba

    start = 0
    for word in rjieba.cut(text):
        end = start + len(word)
        # Neither the word nor a part of it may be protected: a name may be cut in two.
        if HAN_WORD.fullmatch(word) and not HAN_KEPT.search(word):
            if not any(name in word or word in name for name in protected if not name.isascii()):
                yield start, end
        start = end


def wrong_in_chinese(
    text: str, place: tuple[int, int], candidate: str, protected: Set[str]
) -> str | None:
    """Return the reason why a Chinese candidate may not be taken, or None."""
    import rjieba

    start, end = place
    if len(candidate) != end - start or not HAN_WORD.fullmatch(candidate):
        return "not_plain"
    if HAN_KEPT.search(candidate):
        return "function_word"
    if any(name in candidate or candidate in name for name in protected if not name.isascii()):
        return "protected_synonym"
    changed = text[:start] + candidate + text[end:]
    position = 0
    for word in rjieba.cut(changed):
        if position == start:
            return None if word == candidate else "no_word"
        position += len(word)
    return "no_word"
