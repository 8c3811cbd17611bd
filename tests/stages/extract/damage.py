"""Damaged files: bytes changed, lost and doubled, the same for the same seed."""

import random


def damaged(whole: bytes, seed: int) -> bytes:
    """A file after some accidents, many of them near its start, where headers are."""
    chance = random.Random(seed)
    content = bytearray(whole)
    for _ in range(chance.choice([1, 5, 30])):
        place = chance.randrange(min(200, len(content)) if chance.random() < 0.4 else len(content))
        accident = chance.choice(["other", "flip", "lose", "double"])
        if accident == "other":
            content[place] = chance.randrange(256)
        elif accident == "flip":
            content[place] ^= 1 << chance.randrange(8)
        elif accident == "lose":
            del content[place : place + chance.randrange(1, 64)]
        else:
            content[place:place] = content[place : place + chance.randrange(1, 256)]
    if chance.random() < 0.15:
        del content[chance.randrange(len(content)) :]
    return bytes(content)
