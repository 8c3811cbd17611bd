"""Rows of tokens that are longer than the model's window: split, so that every token is trained once.

A window is two lists of equal length: token ids, and labels. A label is the token's id where the token is
learned, or NOT_LEARNED. Where a text goes on in a further window, that window repeats some tokens, so that
its first new tokens are predicted from what stands before them. Repeated tokens are not learned again.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

NOT_LEARNED = -100
"""Label of a token that carries no loss, as torch's cross-entropy has it."""
LEAST = 8
"""The shortest window, in tokens. In a shorter one nothing could be repeated."""
REPEATED_SHARE = 4
"""A further window repeats at most a quarter of its length of the text, and as much of the prompt."""


class Window(NamedTuple):
    """A row of tokens that fits."""

    tokens: list[int]
    labels: list[int]


def windows_of_text(opening: list[int], text: list[int], most: int) -> Iterator[Window]:
    """Yield the windows of a free text. The text is learned as a whole.

    `opening` are the begin tokens, which every window has. `text` are the text's tokens with the end token.
    `most` is the number of tokens of a window.
    """
    room = most - len(opening)
    first = opening + text[:room]
    yield Window(first, first)
    yield from further_windows(opening, text, room, most)


def windows_of_answer(
    opening: list[int], prompt: list[int], answer: list[int], most: int, *, learn_prompt: bool
) -> Iterator[Window]:
    """Yield the windows of a prompt (begin tokens and question) and its answer with the end token.

    Only the answer is learned or, with `learn_prompt`, also the prompt. A further window repeats the prompt,
    or the end of it where it is long. Nothing is yielded where the prompt leaves no room for an answer.
    """
    room = most - len(prompt)
    if room < 1:
        return
    prompt_labels = prompt if learn_prompt else [NOT_LEARNED] * len(prompt)
    yield Window(prompt + answer[:room], prompt_labels + answer[:room])
    repeated = prompt
    if len(prompt) > most // 2:
        repeated = opening + prompt[-(most // REPEATED_SHARE) :]
    yield from further_windows(repeated, answer, room, most)


def further_windows(
    repeated: list[int], text: list[int], start: int, most: int
) -> Iterator[Window]:
    """Yield windows of the tokens of `text` from number `start` on.

    Each begins with the tokens `repeated` and with the tokens of the text that stand before the new ones.
    """
    overlap = most // REPEATED_SHARE
    room = most - len(repeated) - overlap
    while start < len(text):
        before = repeated + text[max(0, start - overlap) : start]
        new = text[start : start + room]
        yield Window(before + new, [NOT_LEARNED] * len(before) + new)
        start += room


def packed(lengths: Sequence[int], most: int) -> list[list[int]]:
    """Return groups of row numbers whose lengths add up to at most `most`.

    Best-fit decreasing: the longest row comes first, and each goes where it leaves the least room. Equal
    lengths keep their order, so the groups depend on the lengths alone.
    """
    longest_first = sorted(range(len(lengths)), key=lambda number: -lengths[number])
    groups: list[list[int]] = []
    by_room: list[list[int]] = [
        [] for _ in range(most + 1)
    ]  # by_room[5]: the groups with room for 5
    for number in longest_first:
        length = lengths[number]
        room = length
        while room < most and not by_room[room]:
            room += 1
        if by_room[room]:
            group = by_room[room].pop()
        else:
            group = len(groups)  # a new one, with room for `most`
            groups.append([])
        groups[group].append(number)
        by_room[room - length].append(group)
    return groups
