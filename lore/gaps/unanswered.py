"""Questions that people asked and no record answers, in themes.

A question is answered where it names a fact, or where the index holds a near record. The others are put into
themes: groups of questions that share words. A theme is named by the words that tell it from the others.

Words are weighed by TF-IDF, and groups are joined by average cosine (agglomerative clustering). The same questions
give the same themes in any order.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.project.errors import InputError
from stages.core.retrieval.question import FUNCTION_WORDS, match, words

Row = dict[str, Any]
APART = 0.9
"""Questions whose groups have an average cosine below 1 - APART stay apart."""
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
    found = []
    for question in dict.fromkeys(questions):
        if match(question, facts, wordings) is None and not is_near(question):
            found.append(question)
    return found


def themes(questions: Sequence[str]) -> list[Theme]:
    """Return the questions in themes, the largest first."""
    asked = sorted(set(questions))
    telling = [question for question in asked if content_words(question)]
    groups = grouped(telling)
    # A question without a content word is like no other.
    groups += [[question] for question in asked if not content_words(question)]

    found = []
    for members in groups:
        others = [question for question in asked if question not in members]
        found.append(Theme(name_of(members, others), tuple(members)))
    return sorted(found, key=lambda theme: (-len(theme.questions), theme.name))


def grouped(questions: Sequence[str]) -> list[list[str]]:
    """Return questions with content words in groups that share words."""
    if len(questions) < 2:
        return [[question] for question in questions]
    from sklearn.cluster import AgglomerativeClustering
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.metrics.pairwise import cosine_distances

    weights = TfidfVectorizer(analyzer=content_words, sublinear_tf=True).fit_transform(questions)
    clustering = AgglomerativeClustering(
        n_clusters=None, metric="precomputed", linkage="average", distance_threshold=APART
    )
    # Distances, not weights: SciPy takes a small square matrix of weights for distances, and warns.
    labels = clustering.fit_predict(cosine_distances(weights))
    groups: dict[int, list[str]] = {}
    for question, label in zip(questions, labels, strict=True):
        groups.setdefault(int(label), []).append(question)
    return list(groups.values())


def content_words(text: str) -> list[str]:
    """Return the words of a text without function words, sorted. Chinese is cut into words by rjieba."""
    import rjieba

    found = []
    for word in words(text) - FUNCTION_WORDS:
        if not CHINESE.search(word):
            found.append(word)
    for run in CHINESE.findall(text):
        # A word of one character says little: 的, 是, 吗.
        found += [word for word in rjieba.cut(run) if len(word) > 1 and word not in ASKING]
    return sorted(set(found))


def name_of(members: Sequence[str], others: Sequence[str]) -> str:
    """Return the words that tell a theme from the other questions, the most telling first."""
    here: dict[str, int] = {}
    for question in members:
        for word in content_words(question):
            here[word] = here.get(word, 0) + 1
    elsewhere: dict[str, int] = {}
    for question in others:
        for word in content_words(question):
            elsewhere[word] = elsewhere.get(word, 0) + 1

    def telling(word: str) -> tuple[float, int, str]:
        share = here[word] / len(members)
        other_share = elsewhere.get(word, 0) / max(1, len(others))
        # The most telling word sorts first; a longer one says more where two tell the same.
        return (-(share - other_share), -len(word), word)

    ordered = sorted(here, key=telling)
    return " · ".join(ordered[:NAMED_BY]) or members[0]
