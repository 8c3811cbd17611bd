"""Raised and lowered text as plain characters: `10<sup>6</sup>` is 10⁶, and never 106.

HTML, Markdown and XML use these two functions. The text of a raised element must not touch a number
before it: a power of ten, a footnote marker and a citation would all change that number.
"""

import unicodedata

RAISED = str.maketrans(
    {
        **dict(zip("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹", strict=True)),
        **dict(zip("+=()", "⁺⁼⁽⁾", strict=True)),
        # Hyphens, dashes and the minus sign all stand for a minus in an exponent.
        **dict.fromkeys("-\N{HYPHEN}\N{NON-BREAKING HYPHEN}\N{EN DASH}\N{MINUS SIGN}", "⁻"),
        **dict(zip("abcdefghijklm", "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐ", strict=True)),
        **dict(zip("noprstuvwxyz", "ⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ", strict=True)),
    }
)
"""Character → its superscript."""
LOWERED = str.maketrans(
    {
        **dict(zip("0123456789", "₀₁₂₃₄₅₆₇₈₉", strict=True)),
        **dict(zip("+=()", "₊₌₍₎", strict=True)),
        **dict.fromkeys("-\N{HYPHEN}\N{NON-BREAKING HYPHEN}\N{EN DASH}\N{MINUS SIGN}", "₋"),
    }
)
"""Character → its subscript."""
ORDINAL = {"a": "ª", "o": "º"}
"""Letters alone that Spanish, Italian and Portuguese raise: n.º, 1ª."""
WRITTEN_ON_THE_LINE = {
    *("st", "nd", "rd", "th"),  # English: 4th
    *("er", "re", "ère", "ème", "ième", "me", "mes", "lle", "lles"),  # French: 1er, Mme
    *("ste", "tm", "sm"),
}
"""Endings of ordinals and abbreviations, which plain text writes without raising them."""
LONGEST = 12
"""Most characters of a mark. A longer raised text is words, and stands between blanks."""


def raised(text: str) -> str:
    """Return raised text as it can follow any character: 6 → ⁶, 6.5 → ^(6.5), th → th, * → *.

    Superscripts of Unicode are used where every character has one. Other marks begin with `^`.
    Several words stand between blanks. A blank at the end stays: <sup>2 </sup>= is ² =.
    """
    mark = plain(text)
    return raised_mark(mark) + blank_behind(text) if mark else ""


def raised_mark(mark: str) -> str:
    """Return a raised mark without blanks around it."""
    if mark in ORDINAL:
        return ORDINAL[mark]
    if mark.casefold() in WRITTEN_ON_THE_LINE:
        return mark
    if len(mark) > LONGEST or " " in mark:
        return f" {mark} "
    if has_only(mark, RAISED) and not is_list_of_numbers(mark):
        return mark.translate(RAISED)
    if is_bracketed(mark) or not any(char.isalnum() for char in mark):
        # A sign such as * or †, or a citation such as [12], which its bracket parts from a number.
        return mark
    return f"^{mark}" if mark.isalnum() else f"^({mark})"


def lowered(text: str, before: str = "", after: str = "") -> str:
    """Return lowered text: 2 → 2, as in H2O.

    Between digits it must not join them. `before` and `after` are the characters around it: log₁₀5 and
    10₂, never log105 and 102.
    """
    mark = plain(text)
    return lowered_mark(mark, before, after) + blank_behind(text) if mark else ""


def lowered_mark(mark: str, before: str, after: str) -> str:
    """Return a lowered mark without blanks around it, between two texts."""
    if len(mark) > LONGEST or " " in mark:
        return f" {mark} "
    # A letter behind a digit would look like a unit (5 with a lowered m), and a minus like a range.
    touches_digit_before = before[-1:].isdigit() and not is_bracketed(mark)
    touches_digit_after = after[:1].isdigit() and mark[-1].isdigit()
    if not (touches_digit_before or touches_digit_after):
        return mark
    if has_only(mark, LOWERED):
        return mark.translate(LOWERED)
    return f"_{mark}" if mark.isalpha() else f"_({mark})"


def plain(text: str) -> str:
    """Return text with single blanks, and its full-width and superscript digits as plain ones."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def blank_behind(text: str) -> str:
    """Return a blank where a text ends with white space."""
    return " " if text[-1:].isspace() else ""


def is_bracketed(mark: str) -> bool:
    """Whether brackets enclose a mark: [1], (a), 【2】."""
    first, last = unicodedata.category(mark[0]), unicodedata.category(mark[-1])
    return first == "Ps" and last == "Pe"


def is_list_of_numbers(mark: str) -> bool:
    """Whether a mark names several numbers, such as the citations 3-5. Its dash is no minus."""
    return any(
        not char.isalnum() and before.isdigit() and after.isdigit()
        for before, char, after in zip(mark, mark[1:], mark[2:], strict=False)
    )


def has_only(mark: str, table: dict[int, str]) -> bool:
    """Whether a table has all characters of a mark."""
    return all(ord(char) in table for char in mark)
