"""Questions that people asked and no record answers, in themes.

A question is answered where it names a fact, or where the index holds a near record. The others are put into
themes: groups of questions that mean the like, or share words. A theme is named by the words that tell it from the others.

A theme is what is asked of a subject, whatever the subject. So *it* takes the place of a known subject. "How toxic is
lead?" and "Is cobalt poisonous?" are compared as "How toxic is it?" and "Is it poisonous?".
A sentence encoder compares them where there is one for their language. Else words do, weighed by TF-IDF.
Groups are joined by average cosine (agglomerative clustering). The same questions give the same themes in any order.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.project.errors import InputError
from stages.core.retrieval.question import FUNCTION_WORDS, Matcher, subject_of, words

Row = dict[str, Any]
Vectors = Callable[[str], Any]
"""Text → its vector of length 1, by a sentence encoder."""
WORDS_APART = 0.9
"""Questions compared by words stay apart where their groups have an average cosine below 1 - WORDS_APART."""
MEANINGS_APART = 0.75
"""The same for questions compared by an encoder."""
IT = "it"
CHINESE = re.compile(r"[\u3400-\u9fff]+")
ASKING = frozenset("什么 多少 怎么 怎样 如何 哪个 哪些 哪里 为什么 请问 可以".split())
"""Chinese words that ask, and say nothing about the matter."""
NAMED_BY = 3
"""Words in the name of a theme."""


@dataclass(frozen=True)
class Theme:
    """Questions about one matter."""

    name: str
    questions: tuple[str, ...]
    """The most typical one first."""


def read(path: Path) -> list[str]:
    """Return the questions of a file: one in each line, or JSON Lines with `question`.

    Raises InputError where the file cannot be read, naming the line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise InputError(f"{path}: not found; name a file with one question in each line") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read ({reason}); save it as UTF-8") from None
    questions = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text:
            continue
        if path.suffix == ".jsonl":
            text = question_of(text, f"{path}, line {number}")
        questions.append(" ".join(text.split()))
    return questions


def question_of(line: str, where: str) -> str:
    """Return the question of a line of JSON Lines. Raises InputError where there is none."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: no JSON ({error}); write one object in each line") from None
    question = row.get("question") if isinstance(row, dict) else None
    if not isinstance(question, str) or not question.strip():
        raise InputError(f'{where}: no question; write {{"question": "…"}}')
    return question


def without_answer(
    questions: Sequence[str],
    records: Sequence[Row],
    wordings: Sequence[Row],
    is_near: Callable[[str], bool],
) -> list[str]:
    """Return the questions that no record answers, each once, in their order."""
    facts = [row for row in records if row["fact"]]
    matcher = Matcher(facts, wordings)
    found = []
    for question in dict.fromkeys(questions):
        if matcher.match(question) is None and not is_near(question):
            found.append(question)
    return found


def themes(
    questions: Sequence[str],
    subjects: Collection[str] = (),
    vector: Vectors | None = None,
    speaks_chinese: bool = False,
) -> list[Theme]:
    """Return the questions in themes, the largest first.

    `subjects` are the known ones. `vector` encodes a text, and without it words are compared. Questions with
    Chinese characters are encoded where the encoder `speaks_chinese`.
    """
    parts = {name: words(name) for name in subjects}
    asked = sorted(set(questions))
    about = {question: about_it(question, parts) for question in asked}
    encoded: list[str] = []
    compared: list[str] = []
    alone: list[str] = []
    for question in asked:
        if not content_words(about[question]):
            alone.append(question)  # without a content word it is like no other
        elif vector is not None and (speaks_chinese or not CHINESE.search(question)):
            encoded.append(question)
        else:
            compared.append(question)

    groups = [[question] for question in alone]
    if vector is not None and encoded:
        meanings = [vector(about[question]) for question in encoded]
        groups += grouped(encoded, meanings, MEANINGS_APART)
    if compared:
        groups += grouped(compared, weights_of([about[one] for one in compared]), WORDS_APART)

    found = []
    for members in groups:
        others = [about[question] for question in asked if question not in members]
        name = name_of([about[question] for question in members], others)
        found.append(Theme(name, tuple(members)))
    return sorted(found, key=lambda theme: (-len(theme.questions), theme.name))


def about_it(question: str, subjects: Mapping[str, set[str]]) -> str:
    """Return a question with *it* in place of its subject. `subjects`: name → its words."""
    subject = subject_of(words(question), subjects)
    if subject is None:
        return question
    if CHINESE.search(subject):
        return question.replace(subject, IT)
    return re.sub(rf"(?<!\w){re.escape(subject)}(?!\w)", IT, question, flags=re.IGNORECASE)


def weights_of(texts: Sequence[str]) -> Any:
    """Return the TF-IDF weights of the texts' content words, a sparse matrix of a row for each."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(analyzer=content_words, sublinear_tf=True).fit_transform(texts)


def grouped(questions: Sequence[str], vectors: Any, apart: float) -> list[list[str]]:
    """Return questions in groups whose vectors are near, the most typical question of each first.

    Groups further than `apart` (1 - cosine) are not joined. The most typical question is the nearest to all others.
    """
    if len(questions) < 2:
        return [[question] for question in questions]
    from sklearn.cluster import AgglomerativeClustering
    from sklearn.metrics.pairwise import cosine_distances

    clustering = AgglomerativeClustering(
        n_clusters=None, metric="precomputed", linkage="average", distance_threshold=apart
    )
    # Distances, not vectors: SciPy takes a small square matrix of vectors for distances, and warns.
    distances = cosine_distances(vectors)
    labels = clustering.fit_predict(distances)
    groups: dict[int, list[int]] = {}
    for place, label in enumerate(labels):
        groups.setdefault(int(label), []).append(place)
    found = []
    for places in groups.values():
        # Rounded, so that the last bits of a sum decide nothing.
        far = {place: round(float(distances[place, places].sum()), 6) for place in places}
        typical_first = sorted(places, key=lambda place: (far[place], place))
        found.append([questions[place] for place in typical_first])
    return found


def content_words(text: str) -> list[str]:
    """Return the words of a text without function words, sorted. Chinese is cut into words by rjieba."""
    import rjieba

    found = []
    for word in words(text) - FUNCTION_WORDS:
        if not CHINESE.search(word) and not word.isdigit():
            found.append(word)
    for run in CHINESE.findall(text):
        # A word of one character says little: 的, 是, 吗.
        found += [word for word in rjieba.cut(run) if len(word) > 1 and word not in ASKING]
    return sorted(set(found))


def name_of(members: Sequence[str], others: Sequence[str]) -> str:
    """Return the words that tell a theme from the other questions, the most telling first.

    Of words that tell the same, those of the most typical question come first. It is the first of `members`.
    """
    first_in: dict[str, int] = {}
    here: dict[str, int] = {}
    for number, question in enumerate(members):
        for word in content_words(question):
            here[word] = here.get(word, 0) + 1
            first_in.setdefault(word, number)
    elsewhere: dict[str, int] = {}
    for question in others:
        for word in content_words(question):
            elsewhere[word] = elsewhere.get(word, 0) + 1

    def telling(word: str) -> tuple[float, int, int, str]:
        share = here[word] / len(members)
        other_share = elsewhere.get(word, 0) / max(1, len(others))
        # The most telling word sorts first. A longer one says more where two tell the same.
        return (-(share - other_share), first_in[word], -len(word), word)

    ordered = sorted(here, key=telling)
    return " · ".join(ordered[:NAMED_BY]) or members[0]
