"""Quantities of fields: one number with its unit, a range, a tolerance, or a bound such as <5.

A field is read with the readers of running text (`numbers.py`, `amounts.py`), and nothing is
guessed: what two conventions read differently is refused.
"""

import re
import unicodedata
from decimal import Decimal
from typing import NamedTuple

from stages.clean.values import currencies
from stages.clean.values.amounts import amounts
from stages.clean.values.numbers import (
    Number,
    NumberForm,
    number_at,
    widths_folded,
)
from stages.clean.values.unusable import Unusable

LONGEST_FIELD = 200
"""Characters of the longest field that is read as a quantity."""
_WORDS_OF_BOUNDS = {
    "~": (r"about|around|approximately|approx\.?|circa|ca\.?|roughly", "大约|大概|约"),
    "≤": (
        r"up to|at most|no more than|not more than|max(?:imum|\.)?",
        "不超过|不大于|不高于|至多|最多",
    ),
    "≥": (
        r"at least|no less than|not less than|min(?:imum|\.)?",
        "不少于|不小于|不低于|至少|最少",
    ),
    "<": ("less than|under|below|smaller than", "小于|低于|少于|不到"),
    ">": ("more than|over|above|greater than|exceeding", "大于|高于|多于|超过"),
}
BOUNDS_IN_WORDS = {
    sign: re.compile(rf"(?:(?:{english}) |(?:{chinese}) ?)(?=[0-9.$€£¥\-])", re.IGNORECASE)
    for sign, (english, chinese) in _WORDS_OF_BOUNDS.items()
}
"""What says the same as a sign before a number that is not exact: at least 5 is ≥5, 约5 is ~5."""
BOUND = re.compile(r"(<=|=<|≤|⩽|>=|=>|≥|⩾|<|>|~|≈|±|\+ ?/ ?-|\+-) ?")
"""Before a number that is not exact."""
BOUNDS = {
    "<=": "≤",
    "=<": "≤",
    "⩽": "≤",
    ">=": "≥",
    "=>": "≥",
    "⩾": "≥",
    "≈": "~",
    "+/-": "±",
    "+-": "±",
}
"""The one form of a bound."""
BELOW_ZERO = re.compile(
    "^(?:零下|负) ?(?=[0-9零一二两三四五六七八九十])|^minus (?=[0-9])|^[–‒](?=[0-9.])",
    re.IGNORECASE,
)
"""零下5, 负5, minus 5 and –5 are -5."""
FULL_STOP = re.compile(r"(?<=^[0-9])\.$|(?<=[^.,][0-9])\.$")
"""Behind a number that has no other point: 5."""
GOES_ON = re.compile(
    r"[0-9.,^'’]|\*\*|[⁰¹²³⁴⁵⁶⁷⁸⁹]"  # 12,3,4; 5^2
    r"|[eE][+-]?[0-9]"  # 1e9999999
    r"| [0-9]"  # 1 53
    r"| ?[/:xX×*·] ?[0-9]"  # 120/80, 1:2, 1.2 x 103
)
"""Behind a number: it goes on, or there are two, or one in an unknown convention."""
MAY_BE_DECIMAL = re.compile(r"[1-9][0-9]{0,2},[0-9]{3}(?![0-9]|[.,][0-9])")
"""1,234 is a thousand times more or less, by the country."""
COMMA_GROUPS = frozenset(["zh", "ja", "ko"])
"""Languages in which no text writes a decimal comma."""
SIGNED_POWER = re.compile(r" ?[xX×·⋅∙•*] ?10 ?([+-][0-9]{1,2})(?![0-9.])")
"""The x 10-3 of a number whose exponent has lost its raised place. Its sign still tells it."""
JOINT = re.compile(
    r" ?(?P<tolerance>\(?(?:±|\+ ?/ ?-|\+-)) ?"  # 5 ± 0.5, 5 (+/- 0.5)
    r"| ?(?:-|–|—|~|至|到) ?| to "  # 5–10, 5 to 10
)
"""Between two numbers of a field."""
MOST_JOINTS = 4
"""Places in a field at which a second number is looked for."""
FEET_AND_INCHES = re.compile(r"(\d{1,2}) ?['′’] ?(\d{1,2}(?:\.\d+)?) ?(?:[\"″”]|'')")
"""5'3" and 5′ 3″."""


class Reading(NamedTuple):
    """What a field says, in its own unit."""

    low: Decimal
    """The number, or the lower end of a range."""
    high: Decimal | None
    """The upper end of a range, or the tolerance."""
    joint: str
    """`–` between the ends of a range, ` ± ` before a tolerance."""
    bound: str
    """<, ≤, >, ≥, ~ or ± before the number. Empty: the number is exact."""
    unit: str
    """As written. Empty: the field has none."""


def read(value: str, lang: str, form: NumberForm, own_currencies: tuple[str, ...] = ()) -> Reading:
    """Read a field. `lang` is an ISO 639-1 code, `form` is how its source writes numbers.

    `own_currencies` are the user's spellings of currencies, which may stand before a number: $5.

    Raises Unusable (`bad_quantity`).
    """
    text, form = _plain(value, form)
    if len(text) > LONGEST_FIELD:
        raise Unusable(
            "bad_quantity", f"{value[:40]!r}… is no number: it has {len(text)} characters"
        )
    bound = ""
    if sign := BOUND.match(text):
        written = sign[1].replace(" ", "")
        bound = BOUNDS.get(written, written)
        text = text[sign.end() :]
    else:
        bound, text = _without_words(text)
    currency = ""
    currency_pattern = currencies.before(own_currencies)
    sign_first = text[:1] if text[:1] in ("-", "+") else ""
    if before := currency_pattern.match(text, len(sign_first)):  # $5, -$5
        currency = before["currency"]
        text = sign_first + text[before.end() :].replace(currency, "")  # €5–€10
    elif currencies.SHARED_SIGN.match(text):
        raise Unusable(
            "bad_quantity",
            f"{value!r}: several currencies share this sign; say which in "
            "clean.normalise.unit_spellings",
        )

    one = _signed(text, 0, value, lang, form)
    rest = text[one.end :]
    low, high, joint = one.value, one.high, "–"
    if high is None and (pair := _second(rest, one, value, lang, form)):
        low, high, joint, rest = pair
    if high is not None and bound:
        raise Unusable("bad_quantity", f"{value!r} is a range with {bound} before it")
    unit = rest.strip()
    if currency:
        if unit and not unit.startswith(("/", "per ")):
            raise Unusable("bad_quantity", f"{value!r} has text behind an amount of money")
        unit = currency + unit.replace("per ", "/")
    return Reading(low, high, joint, bound, unit)


def _without_words(text: str) -> tuple[str, str]:
    """The sign of the words that stand before a number, and the text behind them."""
    for sign, words in BOUNDS_IN_WORDS.items():
        if before := words.match(text):
            return sign, text[before.end() :]
    return "", text


def read_as_text(value: str, lang: str, form: NumberForm) -> Reading | None:
    """Read a field as running text, if it is one amount from its first to its last character.

    5 ft 2 in, 百分之三十, 一个半小时. The unit is as `measures.canonical` writes it.
    """
    text, form = _plain(value, form)
    if len(text) > LONGEST_FIELD:
        return None
    if marks := FEET_AND_INCHES.fullmatch(text):
        feet = Decimal(marks[1]) + Decimal(marks[2]) / 12
        return Reading(feet, None, "–", "", "foot")
    if any("\u3400" <= character <= "\u9fff" for character in text):
        lang = "zh"
    found = list(amounts(text, lang, 0, len(text), form))
    if len(found) != 1:
        return None
    amount = found[0]
    if (
        not amount.measure
        or text[: amount.start].lower() not in ("", "between ")
        or amount.end != len(text.rstrip("."))
    ):
        return None
    joint = " ± " if amount.sign == "±" else "–"
    return Reading(amount.low, amount.high, joint, "", amount.measure.unit)


def _plain(value: str, form: NumberForm) -> tuple[str, NumberForm]:
    """The field in plain characters, and how its numbers are written."""
    text = widths_folded(unicodedata.normalize("NFC", value)).replace("，", ",")
    if not text.isascii():
        characters = []
        for character in text:
            digit = unicodedata.decimal(character, None)  # ٥ is 5
            characters.append(character if digit is None else str(digit))
        text = "".join(characters)
        if "٫" in text or "٬" in text:  # the Arabic signs mean one thing each
            text = text.replace("٫", ".").replace("٬", ",")
            form = NumberForm(".", ",")
    text = " ".join(text.split())
    text = FULL_STOP.sub("", text)
    return BELOW_ZERO.sub("-", text), form


def _signed(text: str, at: int, value: str, lang: str, form: NumberForm) -> Number:
    """The number that begins at a place, with its sign. Raises Unusable where there is none."""
    start = at
    if text[at : at + 1] in ("+", "-"):
        start += 1
    number = _unsigned(text, start, lang, form)
    if number is None:
        evidence = f"{value!r} is not one unambiguous number"
        if _is_readable_with_signs(text, start):
            evidence += "; say `decimal` or `thousands` of its source"
        raise Unusable("bad_quantity", evidence)
    if text[at : at + 1] == "-":
        if number.high is not None:
            raise Unusable("bad_quantity", f"{value!r} is not one unambiguous number")
        number = number._replace(value=-number.value)
    return number


def _unsigned(text: str, start: int, lang: str, form: NumberForm) -> Number | None:
    """The number that begins at a place. None where it has no reading, or two."""
    if start >= len(text):
        return None
    may_be_decimal = not form.declared and lang not in COMMA_GROUPS
    if may_be_decimal and MAY_BE_DECIMAL.match(text, start):
        return None
    number = number_at(text, start, lang, form)
    if number is None:
        return None
    if power := SIGNED_POWER.match(text, number.end):
        scaled = number.value.scaleb(int(power[1]))
        number = number._replace(end=power.end(), value=scaled, times_ten=True)
    if GOES_ON.match(text, number.end):
        return None
    return number


def _is_readable_with_signs(text: str, start: int) -> bool:
    """Whether a declaration of the source would say what the number is."""
    for form in (NumberForm(",", None), NumberForm(".", ",")):
        if _unsigned(text, start, "en", form) is not None:
            return True
    return False


Pair = tuple[Decimal, Decimal, str, str]
"""The two numbers, what stands between them, and the unit behind them."""


def _second(rest: str, one: Number, value: str, lang: str, form: NumberForm) -> Pair | None:
    """The second number of a range or a tolerance. `rest` is the text behind the first one.

    None where there is none. Raises Unusable where the two make no range.
    """
    for count, joint in enumerate(JOINT.finditer(rest)):
        if count == MOST_JOINTS:
            return None
        unit_between = rest[: joint.start()].strip()
        behind = rest[joint.end() :]
        try:
            two = _signed(behind, 0, value, lang, form)
        except Unusable:
            if not unit_between:
                raise
            continue
        unit = behind[two.end :].strip()
        if joint["tolerance"] and "(" in joint["tolerance"]:
            if not unit.startswith(")"):
                continue
            unit = unit[1:].strip()
        if unit_between and unit and unit != unit_between:
            continue
        if unit_between and not unit and not joint["tolerance"]:
            continue  # kg m-3
        if two.power and not one.power and not unit_between:
            one = one._replace(value=one.value.scaleb(two.power))  # 15 to 20 million
        return _checked(one, two, joint, unit or unit_between, value)
    return None


def _checked(one: Number, two: Number, joint: re.Match[str], unit: str, value: str) -> Pair:
    """The pair, if it is one in one way only. Raises Unusable."""
    if two.times_ten and not one.times_ten:
        raise Unusable(
            "bad_quantity", f"{value!r}: the power of ten may belong to both numbers, or to one"
        )
    if two.high is not None:
        raise Unusable("bad_quantity", f"{value!r} is not one unambiguous number")
    if joint["tolerance"]:
        if two.value < 0:
            raise Unusable("bad_quantity", f"{value!r} has a tolerance below zero")
        return one.value, two.value, " ± ", unit
    if one.value >= two.value:
        raise Unusable("bad_quantity", f"{value!r} is no range: its first number is not the lower")
    return one.value, two.value, "–", unit
