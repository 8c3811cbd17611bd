"""What the checks of a teacher's questions let pass: pairs of people, and the same pairs made wrong.

    python docs/experiments/teacher_checks.py <folder of cmrc2018_zh>

The pairs of CMRC 2018 (paragraph, question, answer) stand for a teacher that makes no mistakes. The support is the
sentence around the answer, and the same sentence is the full answer. Then each pair is made wrong in one of five ways.
The fifth puts the answer of another question of the same paragraph in the place of the right one: its words, names and
numbers all stand in the source, so this is what the checks cannot see.
What is refused of the right ones is the checks' false alarm, and what passes of the others is what they miss.
"""

import json
import re
import sys
from collections import Counter
from pathlib import Path

from stages.augment.teacher.answers import Pair
from stages.augment.teacher.checks import refused_pair
from stages.core.repeatable.seeding import rng_for

# The ends of sentences, which stay with them.
ENDS = re.compile(r"(?<=[。！？；\n])")
NUMBER = re.compile(r"\d+")
VERB = re.compile(r"是|有|由|为")


def main() -> None:
    """Print the counts of each way."""
    (path,) = Path(sys.argv[1]).glob("*.json")
    tallies: dict[str, Counter[str]] = {}
    articles = json.loads(path.read_text(encoding="utf-8"))["data"]
    paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
    for number, paragraph in enumerate(paragraphs):
        other = paragraphs[(number + 1) % len(paragraphs)]["context"]
        for asked in paragraph["qas"]:
            found = pairs_of(paragraph["context"], asked, other)
            found |= of_another_question(asked, paragraph["qas"], found["right"])
            for way, pair in found.items():
                refusal = refused_pair(pair, paragraph["context"], None, "zh")
                reason = refusal.reason if refusal else "passed"
                tallies.setdefault(way, Counter())[reason] += 1
    for way, tally in tallies.items():
        total = sum(tally.values())
        print(f"{way}: {tally['passed']} of {total} pass; {dict(tally.most_common())}")


def pairs_of(context: str, asked: dict[str, object], other: str) -> dict[str, Pair]:
    """Return a pair as it is, and made wrong in the ways that are possible for it."""
    answer = asked["answers"][0]["text"]  # type: ignore[index]
    question = str(asked["question"])
    sentences = [sentence.strip() for sentence in ENDS.split(context)]
    support = next((sentence for sentence in sentences if answer in sentence), answer)
    rng = rng_for(7, str(asked["id"]))
    found = {"right": Pair("detail", question, support, support)}
    number = NUMBER.search(support)
    if number:
        wrong = str(int(number[0]) + rng.randint(1, 9))
        changed = support[: number.start()] + wrong + support[number.end() :]
        found["another number"] = Pair("detail", question, changed, support)
    verb = VERB.search(support)
    if verb:
        changed = support[: verb.start()] + "不" + support[verb.start() :]
        found["a negation"] = Pair("detail", question, changed, support)
    stranger = max(ENDS.split(other), key=len).strip()
    found["an answer of another text"] = Pair("detail", question, stranger, support)
    found["a support that nobody wrote"] = Pair(
        "detail", question, support, support[:-2] + "等等。"
    )
    return found


def of_another_question(
    asked: dict[str, object], questions: list[dict[str, object]], right: Pair
) -> dict[str, Pair]:
    """Return the pair with the answer of another question in place of its own, where that is possible."""
    answer = asked["answers"][0]["text"]  # type: ignore[index]
    for other in questions:
        replacement = other["answers"][0]["text"]  # type: ignore[index]
        if replacement not in right.support and answer in right.support:
            changed = right.support.replace(answer, replacement)
            return {"another answer": Pair("detail", right.question, changed, right.support)}
    return {}


if __name__ == "__main__":
    main()
