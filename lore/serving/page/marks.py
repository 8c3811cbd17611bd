"""Marks of people, right or wrong, as judgements of `data/raw/feedback.jsonl`, in the form of `lore feedback`.

A judgement says which of two answers is better, so a mark needs a second answer:

- *right*: the answer is better than an abstention.
- *wrong* with the right answer: that one is better. *wrong* without: an abstention is better.
"""

import threading

from lore.feedback import file
from lore.feedback.pairs import Pair
from lore.serving.errors import ApiError
from stages.core.records.abstention import PHRASES, WHOLE, Phrases
from stages.core.records.feedback import Better, Judgement

CHINESE_FROM, CHINESE_TO = "\u3400", "\u9fff"
ABSTENTION, PERSON = "an abstention", "a person"
"""Where the second answer came from."""
MOST_REMEMBERED = 10_000


def judgement_of(
    question: str, answer: str, model: str, is_right: bool, better: str, who: str, why: str
) -> Judgement:
    """Return the judgement of a mark. `model` gave the answer, `better` is the right one, or empty.

    Raises ApiError where the mark says nothing that could be learnt, InputError where it has no form.
    """
    abstention = WHOLE["zh" if is_chinese(question) else "en"]
    other = "" if is_right else better.strip()
    origin = PERSON if other else ABSTENTION
    if not other and Phrases(PHRASES).is_abstention(answer):
        raise ApiError(
            400,
            "the answer says that it does not know; mark it wrong and write the right answer",
            param="better",
            code="nothing_to_compare",
        )
    other = other or abstention
    if other == answer.strip():
        raise ApiError(
            400,
            "the right answer is the same as the one that is marked wrong; write another one",
            param="better",
            code="nothing_to_compare",
        )
    pair = Pair(question, answer, other, (model, origin))
    preferred: Better = "first" if is_right else "second"
    return file.judged(pair, preferred, who, why)


def is_chinese(text: str) -> bool:
    """Return whether a text has a Chinese character."""
    return any(CHINESE_FROM <= letter <= CHINESE_TO for letter in text)


class Marks:
    """The marks of one server. Each caller may take back its own."""

    def __init__(self) -> None:
        self._token_of: dict[str, str] = {}
        """Id of a judgement → the name of the token that it was made with."""
        self._lock = threading.Lock()

    def keep(self, judgement: Judgement, token: str) -> None:
        """Add a judgement to the file. Raises InputError where it cannot be written."""
        file.add(judgement)
        with self._lock:
            self._token_of[judgement.id] = token
            if len(self._token_of) > MOST_REMEMBERED:
                del self._token_of[next(iter(self._token_of))]

    def withdraw(self, name: str, token: str) -> None:
        """Take a judgement back.

        Raises ApiError where this caller did not make it since the server began, InputError where the file
        cannot be written.
        """
        with self._lock:
            is_own = self._token_of.get(name) == token
        if not is_own:
            raise ApiError(
                404,
                f"{name}: not marked here since the server started; lore feedback --withdraw takes it back",
                param="id",
                code="mark_not_found",
            )
        file.withdraw(name, "lore serve", "taken back on the page")
        with self._lock:
            self._token_of.pop(name, None)
