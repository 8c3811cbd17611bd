"""Identifiers in a text: what has a form, and where there is one, a check sum.

Forms and check sums are those of libraries: python-stdnum (Luhn's formula of ISO/IEC 7812, IBAN's
mod 97 of ISO 13616, the Chinese resident identity number of GB 11643), phonenumbers (Google's
numbering plans), ipaddress. A number that has a check sum and fails it is none. A number that has
only a form, such as a passport number, counts where the words before it say what it is.

Every pattern has bounded repeats and cannot start inside what it matches, so the time is linear in
the text.
"""

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from stages.clean.personal import things
from stages.clean.span import Span
from stages.clean.tables import read_table

EDGE = r"(?<![A-Za-z0-9_.])"
END = r"(?![A-Za-z0-9_])"
"""Not within a Latin word or number.

Chinese writes no blanks, so a Chinese character is an edge.
"""
LATIN = r"A-Za-z0-9\u00c0-\u024f"

EMAIL = re.compile(
    rf"(?<![{LATIN}._%+'-])"
    rf"[{LATIN}_%+'-][{LATIN}._%+'-]{{0,63}}"  # jane.doe+x
    rf"@[{LATIN}-]{{1,63}}(?:\.[{LATIN}-]{{1,63}}){{1,8}}"  # @mail.example.org
)
_PATH = r"(?:/[\w./?=&%#~+-]{0,500})?"
URL = re.compile(
    rf"(?<![{LATIN}@_.-])"
    # https://example.com/a?b=c
    r"(?:(?:https?|ftp)://[^\s<>\"'，。；：！？、（）《》【】「」]{1,2000}"
    # example.com, example.co.uk/a
    rf"|(?:www\.)?(?:[{LATIN}-]{{1,63}}\.){{1,8}}"
    rf"(?:com|org|net|edu|gov|info|biz)(?:\.[a-z]{{2}})?(?![{LATIN}]){_PATH}"
    # www.example.de/a
    rf"|www\.[{LATIN}-]{{1,63}}(?:\.[{LATIN}-]{{1,63}}){{1,8}}{_PATH})",
    re.IGNORECASE,
)
"""A web address with its scheme or `www.`, or a domain with a common ending.

Not: text.It goes on.
"""
PARTS_OF_URLS = ("://", "www.", ".com", ".org", ".net", ".edu", ".gov", ".info", ".biz")
"""One of them stands in a text in which `URL` is worth a try."""

IBAN = re.compile(rf"[A-Z](?<![A-Za-z0-9_.].)[A-Z]\d{{2}}(?:[ -]?[A-Z0-9]){{11,30}}{END}")
"""GB82 WEST 1234 5698 7654 32.

The look back skips the first letter, because a pattern that begins with one is faster.
"""
SHORTEST_IBAN = 15
CARD = re.compile(
    rf"{EDGE}(?:\d{{12,19}}"  # 4111111111111111
    r"|\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?"  # 4111 1111 1111 1111
    r"|3\d{3}([ -])\d{6}\2\d{4,5})"  # 3782-822463-10005
    rf"{END}"
)
ISSUER = re.compile(r"1800|2(?:131|014|149|[2-7])|[3-6]")
"""First digits of the issuers of cards."""
RESIDENT_ID = re.compile(rf"{EDGE}\d{{6}}[ -]?(?:18|19|20)\d{{6}}[ -]?\d{{3}}[\dXx]{END}")
"""Chinese: place, day of birth, serial number, check digit."""
SSN = re.compile(rf"{EDGE}(?!000)\d{{3}}-(?!00)\d{{2}}-(?!0000)\d{{4}}{END}(?!-\d)")
"""123-45-6789. Also numbers that begin with 9, for taxpayers without an SSN, and in test data."""
IPV4 = re.compile(rf"{EDGE}(?:\d{{1,3}}\.){{3}}\d{{1,3}}{END}(?!\.\d)")
IPV6 = re.compile(
    r"(?<![A-Za-z0-9_:.])"
    "[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}"  # 2001:db8::1
    r"(?:(?<=:)(?:\d{1,3}\.){3}\d{1,3})?"  # ::ffff:192.0.2.1
    rf"{END}(?!:)"
)
VERSION = re.compile(r"(?:\bv|version|release|build)[ .:]{0,2}$", re.IGNORECASE)
"""Before what looks like an IPv4 address but is none: version 1.2.3.4."""
MAC = re.compile(
    rf"{EDGE}[0-9A-Fa-f]{{2}}"
    "(?:([:-])[0-9A-Fa-f]{2})"
    r"(?:\1[0-9A-Fa-f]{2}){4}"
    rf"{END}(?![:-][0-9A-Fa-f])"
)
"""00:1b:44:11:3a:b7, with the same sign between all pairs."""


class Named(NamedTuple):
    """A number that only the words before it make an identifier."""

    triggers: tuple[str, ...]
    """One of them stands in a text in which the pattern is worth a try."""
    pattern: re.Pattern[str]
    """The group is the number."""


SAID = r"(?:(?:number|no\.?|num|id|#|is|was|号码|号|为|是|[:：#\s]){0,6})"
"""Between the name of a number and the number: Passport No. is."""
NAMED = {
    # SSN: 123456789
    "ssn": Named(
        ("ssn", "social security"),
        re.compile(
            r"(?:\bSSN|social security)[^\d\n]{0,30}(\d{3} ?\d{2} ?\d{4})(?!\d)", re.IGNORECASE
        ),
    ),
    # Passport No. X67995973X, 护照号码：E12345678
    "passport": Named(
        ("passport", "护照"),
        re.compile(
            rf"(?:\bpassport|护照)\s*{SAID}"
            rf"((?=[A-Z0-9]{{0,8}}\d{{4}})[A-Z0-9]{{6,12}}){END}",
            re.IGNORECASE,
        ),
    ),
    # driver's license S99996393, 住院号：00123456
    "id": Named(
        (
            "licen",
            "medical record",
            "mrn",
            "patient id",
            "member id",
            "insurance",
            "nhs",
            "号",
            "卡",
            "证",
        ),
        re.compile(
            r"(?:\bdriver'?s?'? licen[cs]e|\bdriving licen[cs]e|\bmedical record|\bMRN\b"
            r"|\bpatient id|\bmember id|\bnational insurance|\bNHS"
            "|病历号|病案号|住院号|门诊号|社保卡?号?|医保卡?号?|驾驶证)"
            rf"\s*{SAID}"
            rf"((?=[A-Z0-9-]{{0,16}}\d{{4}})[A-Z0-9-]{{5,20}}){END}",
            re.IGNORECASE,
        ),
    ),
    # ZIP code: 02139, 邮编：100080
    "postcode": Named(
        ("zip", "post", "邮"),
        re.compile(
            rf"(?:\bzip(?: code)?|\bpost(?:al )?code|邮政编码|邮编)\s*{SAID}"
            r"(\d{5}-\d{4}|\d{4,6}"  # 02139-1234, 100080
            r"|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}"  # SW1A 1AA
            r"|[A-Z]\d[A-Z] ?\d[A-Z]\d)"  # K1A 0B1
            rf"{END}",
            re.IGNORECASE,
        ),
    ),
}
"""By kind."""

DIGIT = re.compile(r"\d")
LONG = re.compile(r"\d[\d ()./·-]{4}")
"""Five characters of a number: a text without has no long number."""
PAIRS = re.compile(r"[0-9A-Fa-f]{2}([:-])[0-9A-Fa-f]{2}\1|:[0-9A-Fa-f]{0,4}:")
"""Stands in a text in which `IPV6` and `MAC` are worth a try."""
DIGITS = re.compile(rf"(?:\+|\(\+?)?\d(?<![A-Za-z0-9_.]\d)[\d ()./·-]{{4,24}}\d{END}")
"""What may be a telephone number: +44 20 7946 0018, (212) 555-0143."""
PHONE_CUE = re.compile(
    r"(?:phone|\btel\b|telephone|mobile|\bcell|\bfax|\bcall|\bdial|\btext me|reach|contact|whatsapp"
    r"|电话|手机|联系方式|传真|致电|拨打|热线|微信)[^\d]{0,25}$",
    re.IGNORECASE,
)
"""Before a telephone number: Call me on, 固定电话：."""
REGIONS = {
    row["lang"]: tuple(row["regions"].split())
    for row in read_table(Path(__file__).parent / "data" / "phone_regions.csv", ("lang", "regions"))
}
"""Countries whose numbers are recognised without a country code, by the language of the text."""
ANY_COUNTRY = ("ZZ",)
"""Region of phonenumbers for numbers with a country code."""
DATE = re.compile(r"\d{4}[-./]\d{1,2}[-./]\d{1,2}(?:\D|$)|\d{1,2}[-./]\d{1,2}[-./]\d{4}(?:\D|$)")
"""2019-03-07, 7.3.2019: no telephone number."""
NO_DIGIT = re.compile(r"\D")
BLANK_OR_HYPHEN = re.compile(r"[\s-]")
CHINESE_MOBILE = re.compile(r"1[3-9]\d{9}")


def find(text: str, lang: str) -> Iterator[Span]:
    """Every identifier of a text.

    They may overlap. A pattern is tried where a cheaper look finds it possible.
    """
    if "@" in text:
        for match in EMAIL.finditer(text):
            yield _span(match, "email", match.group().lower())
    low = text.lower()
    if any(part in low for part in PARTS_OF_URLS):
        yield from urls(text)
    if DIGIT.search(text):
        yield from numbers(text, low, lang)
    if PAIRS.search(text):
        yield from addresses_of_machines(text)


def urls(text: str) -> Iterator[Span]:
    """Web addresses and domains, without the punctuation behind them."""
    for match in URL.finditer(text):
        written = match.group().rstrip(".,;:!?)]}*_")
        yield Span(match.start(), match.start() + len(written), "url", written.lower())


def addresses_of_machines(text: str) -> Iterator[Span]:
    """IPv6 and MAC addresses."""
    for match in IPV6.finditer(text):
        written = match.group()
        is_short_form = "::" in written
        has_digit = any(character.isdigit() for character in written)
        if is_short_form and not has_digit:
            continue  # a::b is code; an address written out in full may be all letters
        if address := ip(written):
            yield _span(match, "ip", address)
    for match in MAC.finditer(text):
        yield _span(match, "mac", match.group().lower().replace("-", ":"))


def numbers(text: str, low: str, lang: str) -> Iterator[Span]:
    """Identifiers that are made of digits.

    A number is one thing: a card is no phone. `low` is the text in lower case.
    """
    has_long_number = LONG.search(text)
    certain: list[Span] = []
    if has_long_number:
        certain += checked(text)
    certain += ibans(text)
    certain += named(text, low)
    yield from certain
    if not has_long_number:
        return
    # One mark for each character of the text, so that many spans cost no more than the text is long.
    is_taken = [False] * (len(text) + 1)
    for span in certain:
        is_taken[span.start : span.end] = [True] * (span.end - span.start)
    for span in phones(text, lang):
        if not any(is_taken[span.start : span.end]):
            yield span


def checked(text: str) -> Iterator[Span]:
    """Numbers with a check sum, or with a form of their own."""
    from stdnum import luhn
    from stdnum.cn import ric

    starts_of_residents = set()
    for match in RESIDENT_ID.finditer(text):
        written = match.group().replace("-", "")
        if ric.is_valid(written):
            starts_of_residents.add(match.start())
            yield _span(match, "resident_id", ric.compact(written))
    for match in CARD.finditer(text):
        digits = NO_DIGIT.sub("", match.group())
        is_card = ISSUER.match(digits) and luhn.is_valid(digits)
        is_product = is_card and things.is_of_product(text, match.start())
        if is_card and not is_product and match.start() not in starts_of_residents:
            yield _span(match, "card", digits)
    for match in SSN.finditer(text):
        if things.is_of_product(text, match.start()):
            continue
        yield _span(match, "ssn", NO_DIGIT.sub("", match.group()))
    for match in IPV4.finditer(text):
        address = ip(match.group())
        before = text[max(0, match.start() - 12) : match.start()]
        is_version = VERSION.search(before) is not None
        if address and not is_version and not things.is_section(text, *match.span()):
            yield _span(match, "ip", address)


def ibans(text: str) -> Iterator[Span]:
    """IBANs. A form that runs on into the next word is cut at its last blank or hyphen, until it is
    one.
    """
    from stdnum import iban

    for match in IBAN.finditer(text):
        written = match.group()
        while len(written) >= SHORTEST_IBAN and not iban.is_valid(written, check_country=False):
            last_gap = max(written.rfind(" "), written.rfind("-"), 0)
            written = written[:last_gap]
        if len(written) >= SHORTEST_IBAN:
            end = match.start() + len(written)
            yield Span(match.start(), end, "iban", iban.compact(written))


def named(text: str, low: str) -> Iterator[Span]:
    """Numbers that the words before them name. `low` is the text in lower case."""
    for kind, (triggers, pattern) in NAMED.items():
        if not any(trigger in low for trigger in triggers):
            continue
        for match in pattern.finditer(text):
            normal = BLANK_OR_HYPHEN.sub("", match[1]).upper()
            yield Span(match.start(1), match.end(1), kind, normal)


def phones(text: str, lang: str) -> Iterator[Span]:
    """Telephone numbers: valid ones of the language's countries or with a country code, and what a
    word calls one.
    """
    end = 0
    for match in DIGITS.finditer(text):
        start = match.start()
        if start < end:
            continue
        digits = NO_DIGIT.sub("", match.group())
        if not 6 <= len(digits) <= 30 or DATE.match(match.group()):
            continue
        is_called_phone = PHONE_CUE.search(text[max(0, start - 40) : start]) is not None
        if is_no_phone(text, start, match.end(), lang, is_called_phone):
            continue
        for span in _valid_phones(text, start, match.end(), lang):
            end = span.end
            yield span
        if end > start or len(digits) > 15:
            continue
        if is_called_phone:
            yield _span(match, "phone", digits)


def is_no_phone(text: str, start: int, end: int, lang: str, is_called_phone: bool) -> bool:
    """Whether the digits between two places count something, or number a product or section.

    `is_called_phone`: the words before them call them a telephone number.
    """
    if "+" in text[start:end]:
        return False
    before = text[max(0, start - things.BEFORE) : start]
    is_numbered = things.PRODUCT.search(before) or things.SECTION.search(before)
    if is_numbered and not is_called_phone:
        return True
    return things.is_large_number(text, start, end, lang, is_called_phone)


def _valid_phones(text: str, start: int, end: int, lang: str) -> list[Span]:
    """The numbers that phonenumbers finds between two places, by the first region that knows any.

    Bare digits count with a country code, or as a Chinese mobile number.
    """
    from phonenumbers import Leniency, PhoneNumberFormat, PhoneNumberMatcher, format_number

    window = text[start:end]
    has_country_code = "+" in window
    regions = ANY_COUNTRY if has_country_code else REGIONS.get(lang, ANY_COUNTRY)
    for region in regions:
        spans = []
        for match in PhoneNumberMatcher(window, region, leniency=Leniency.VALID, max_tries=20):
            written = match.raw_string
            is_bare = written.isdigit() and not CHINESE_MOBILE.fullmatch(written)
            if is_bare and not has_country_code:
                continue
            first = start + match.start
            if written[0] == "(" and ")" not in written:
                first += 1  # a parenthesis that encloses more than the number
            normal = format_number(match.number, PhoneNumberFormat.E164)
            spans.append(Span(first, start + match.end, "phone", normal))
        if spans:
            return spans
    return []


def ip(written: str) -> str:
    """The address in its shortest form, or an empty text where it is none."""
    try:
        return ipaddress.ip_address(written).compressed
    except ValueError:
        return ""


def _span(match: re.Match[str], kind: str, normal: str) -> Span:
    return Span(match.start(), match.end(), kind, normal)
