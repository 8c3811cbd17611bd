"""The sentence of a text in which a word stands."""

import re

# A sign that ends a sentence. Latin ones need a blank behind them: not the point of `3.5`.
END = re.compile(r"[.?!](?=\s)|[。！？；\n]")


def bounds(text: str, position: int) -> tuple[int, int]:
    """Return where the sentence at a position begins and ends, without blanks around it."""
    begin, end = 0, len(text)
    for sign in END.finditer(text):
        if sign.end() > position:
            end = sign.end()
            break
        begin = sign.end()
    while begin < position and text[begin].isspace():
        begin += 1
    return begin, end


def at(text: str, position: int) -> str:
    """Return the sentence at a position."""
    begin, end = bounds(text, position)
    return text[begin:end]
