"""A generation without a model: its engine says what a table says, letter by letter."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lore.serving.engines.engine import Job
from lore.serving.generations import Generation
from lore.serving.knowledge import Knowledge
from lore.serving.reading import Reader
from lore.serving.schemas import VersionInfo
from stages.core.project import artifacts
from stages.core.project.errors import ModelError
from stages.core.records.record import write
from tests.lore.knowledge import fact

END = 3
QUESTION = "When does iron melt?"
RIGHT = "The melting point of iron is 1538 °C."
WRONG = "The melting point of gold is 1 °C."
SAID = {QUESTION: RIGHT, "When does gold melt?": WRONG, "Who are you?": "A model."}


class LetterTokenizer:
    """One token for each letter: its code point."""

    eos_token_id = END
    chat_template = None
    name_or_path = "letters"
    added_tokens_decoder: Mapping[int, Any] = {}

    def __call__(self, texts: Any, **settings: Any) -> dict[str, Any]:
        if isinstance(texts, str):
            return {"input_ids": [ord(letter) for letter in texts]}
        return {"input_ids": [[ord(letter) for letter in text] for text in texts]}

    def decode(self, tokens: list[int], skip_special_tokens: bool = False) -> str:
        return "".join(chr(token) for token in tokens if token != END)


class FakeEngine:
    """Says what `said` holds for the question in the prompt."""

    name = "fake"

    def __init__(self, said: Mapping[str, str] = SAID) -> None:
        self.said = said
        self.going_on = threading.Event()
        """While it is not set, every answer waits behind its first letter."""
        self.going_on.set()
        self.cancelled: list[str] = []
        self.is_closed = False
        self.fails = False
        self.log_p: float | None = None
        """The log-probability of each letter, in nats."""

    def submit(self, job: Job) -> None:
        threading.Thread(target=self._answer, args=(job,), daemon=True).start()

    def _answer(self, job: Job) -> None:
        if self.is_closed or self.fails:
            job.on_end(ModelError("the engine failed"))
            return
        question = job.prompt_text.removeprefix("Question: ").partition("\n")[0]
        tokens = [ord(letter) for letter in self.said.get(question, "No idea.")] + [END]
        for number, token in enumerate(tokens[: job.most]):
            if number == 1:
                while not self.going_on.wait(0.01) and not job.cancelled.is_set():
                    pass
            if job.cancelled.is_set():
                self.cancelled.append(question)
                break
            if self.log_p is not None:
                job.log_p = (job.log_p or 0.0) + self.log_p
            if job.on_tokens([token]):
                break
        job.on_end(None)

    def close(self) -> None:
        self.is_closed = True


IRON = fact("iron", "1538", locator="elements.sql#iron") | {"text": "iron: melting point 1538 °C"}
IRON_AGAIN = fact("iron", "1538", source="legacy", locator="legacy.csv#L2")
GOLD = fact("gold", "1064")


def write_records(root: Path) -> None:
    """Write the records of a version."""
    write(root / artifacts.CLEAN_RECORDS, [IRON, IRON_AGAIN, GOLD])
    wordings = []
    for row in (IRON, GOLD):
        question = f"When does {row['subject']} melt?"
        more = {"kind": "qa", "question": question, "answer": "…", "id": row["id"][::-1]}
        wordings.append(row | more | {"source": "augment", "locator": f"{row['fact']}/train/0"})
    write(root / artifacts.TRAINING_RECORDS, wordings)


def generation(root: Path, number: int = 1, engine: FakeEngine | None = None) -> Generation:
    """Return a generation. Its records are those below `root`, which are written where there are none."""
    if not (root / artifacts.CLEAN_RECORDS).is_file():
        write_records(root)
    tokenizer = LetterTokenizer()
    info = VersionInfo(
        name=f"knowledge@v1.{number}.0",
        tag=f"knowledge@v1.{number}.0",
        commit="c" * 40,
        identity=f"{number}" * 64,
        generation=number,
    )
    return Generation(
        version=info,
        variant="distill",
        engine=engine or FakeEngine(),
        tokenizer=tokenizer,
        reader=Reader(tokenizer, root),
        knowledge=Knowledge(root, 1, 0.5),
        context=256,
    )
