"""Canaries: recorded questions that a version must answer as `evaluate` recorded, before it takes traffic."""

import threading
from pathlib import Path
from typing import Any

from lore.serving.engines.engine import Engine, Job
from lore.serving.reading import Answer, Reader
from stages.core.models.conversation import encode, prompt_text
from stages.core.project import artifacts
from stages.core.project.errors import InputError, ModelError

Recorded = list[tuple[str, str]]
"""Questions with their recorded answers."""
PATIENCE = 120.0
"""Seconds in which all canaries must be answered."""
SHOWN = 3
"""Wrong answers that a message names."""


def recorded(root: Path, variant: str, most: int) -> Recorded:
    """Return at most `most` recorded questions of a version, evenly chosen over its facts.

    Empty where the version recorded none of this variant. Raises InputError for a damaged table.
    """
    import pandas as pd

    path = root / artifacts.ANSWERS
    if most == 0 or not path.is_file():
        return []
    try:
        table = pd.read_parquet(path, columns=["variant", "question", "answer"])
    except Exception as error:  # whatever a damaged table makes a library raise
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: no table of answers ({reason}); dvc checkout {path.parent}"
        ) from None
    rows = table[table["variant"] == variant]
    chosen = []
    step = max(1, len(rows) // most)
    for place in range(0, len(rows), step):
        row = rows.iloc[place]
        chosen.append((str(row["question"]), str(row["answer"])))
    return chosen[:most]


def ask(
    engine: Engine, tokenizer: Any, reader: Reader, questions: list[str], most: int
) -> list[str]:
    """Return an engine's answers. Raises ModelError where it fails, or takes too long."""
    answers = []
    jobs = []
    ends: list[threading.Event] = []
    errors: list[Exception] = []
    for question in questions:
        answer = Answer(reader, [])
        end = threading.Event()
        text = prompt_text(tokenizer, question)

        def on_end(error: Exception | None, end: threading.Event = end) -> None:
            if error is not None:
                errors.append(error)
            end.set()

        def on_tokens(tokens: list[int], answer: Answer = answer) -> bool:
            return any([answer.add(token) for token in tokens])

        (prompt,) = encode(tokenizer, [text])
        jobs.append(Job(prompt, text, most, on_tokens, on_end))
        answers.append(answer)
        ends.append(end)
    for job in jobs:
        engine.submit(job)
    for end in ends:
        if not end.wait(PATIENCE):
            raise ModelError(f"the canaries were not answered within {PATIENCE:.0f} s")
    if errors:
        raise ModelError(f"the canaries were not answered: {errors[0]}")
    return [reader.text(answer.tokens, True) for answer in answers]


def require_right(known: Recorded, answers: list[str], share: float, name: str) -> None:
    """Raise ModelError where fewer than `share` of the answers are the recorded ones."""
    wrong = []
    for (question, expected), said in zip(known, answers, strict=True):
        if one_line(said) != one_line(expected):
            wrong.append(f"{question!r}: {said!r} instead of {expected!r}")
    right = len(known) - len(wrong)
    if right < share * len(known):
        raise ModelError(
            f"{name}: {right} of {len(known)} canaries were answered as evaluate recorded, "
            f"{share:.0%} are needed: {'; '.join(wrong[:SHOWN])}"
        )


def one_line(text: str) -> str:
    """Return a text with single blanks."""
    return " ".join(text.split())
