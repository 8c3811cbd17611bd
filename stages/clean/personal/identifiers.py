"""Identifiers in a text: what has a form, and where there is one, a check sum.

Forms and check sums are the libraries': python-stdnum (Luhn's formula of ISO/IEC 7812, IBAN's mod 97 of ISO 13616, the Chinese
resident identity number of GB 11643), phonenumbers (Google's numbering plans), ipaddress. A number that has a check sum and fails
it is none. What has only a form, such as a passport number, counts where the words before it say what it is.

Every pattern has bounded repeats and cannot start inside what it matches, so the time is linear in the text.
"""

import ipaddress
import re
from collections.abc import Iterator

from stages.clean.span import Span

EDGE, END = r"(?<![A-Za-z0-9_.])", r"(?![A-Za-z0-9_])"
"""Not within a Latin word or number. Chinese writes no blanks, so a Chinese character is an edge."""
LATIN = r"A-Za-z0-9\u00c0-\u024f"
EMAIL = re.compile(
    rf"(?<![{LATIN}._%+'-])[{LATIN}_%+'-][{LATIN}._%+'-]{{0,63}}@[{LATIN}-]{{1,63}}(?:\.[{LATIN}-]{{1,63}}){{1,8}}"
)
URL = re.compile(
    rf"(?<![{LATIN}@_.-])(?:(?:https?|ftp)://[^\s<>\"'，。；：！？、（）《》【】「」]{{1,2000}}"
    rf"|(?:www\.)?(?:[{LATIN}-]{{1,63}}\.){{1,8}}(?:com|org|net|edu|gov|info|biz)(?:\.[a-z]{{2}})?(?![{LATIN}])(?:/[\w./?=&%#~+-]{{0,500}})?"
    rf"|www\.[{LATIN}-]{{1,63}}(?:\.[{LATIN}-]{{1,63}}){{1,8}}(?:/[\w./?=&%#~+-]{{0,500}})?)",
    re.IGNORECASE,
)
"""An address with its scheme or `www.`; a bare domain only where it ends as one can be told from `text.It goes on`."""
IBAN = re.compile(rf"[A-Z](?<![A-Za-z0-9_.].)[A-Z]\d{{2}}(?:[ -]?[A-Z0-9]){{11,30}}{END}")
CARD = re.compile(
    rf"{EDGE}(?:\d{{12,19}}|\d{{4}}([ -])\d{{4}}\1\d{{4}}\1\d{{4}}(?:\1\d{{3}})?|3\d{{3}}([ -])\d{{6}}\2\d{{4,5}}){END}"
)
ISSUER = re.compile(r"1800|2(?:131|014|149|[2-7])|[3-6]")
"""First digits that card issuers have."""
RESIDENT_ID = re.compile(rf"{EDGE}\d{{6}}[ -]?(?:18|19|20)\d{{6}}[ -]?\d{{3}}[\dXx]{END}")
SSN = re.compile(rf"{EDGE}(?!000)\d{{3}}-(?!00)\d{{2}}-(?!0000)\d{{4}}{END}(?!-\d)")
"""Also numbers that begin with 9, for taxpayers without an SSN, and in test data."""
IPV4 = re.compile(rf"{EDGE}(?:\d{{1,3}}\.){{3}}\d{{1,3}}{END}(?!\.\d)")
IPV6 = re.compile(
    rf"(?<![A-Za-z0-9_:.])[0-9A-Fa-f]{{0,4}}(?::[0-9A-Fa-f]{{0,4}}){{2,7}}(?:(?<=:)(?:\d{{1,3}}\.){{3}}\d{{1,3}})?{END}(?!:)"
)
VERSION = re.compile(r"(?:\bv|version|release|build)[ .:]{0,2}$", re.IGNORECASE)
MAC = re.compile(
    rf"{EDGE}[0-9A-Fa-f]{{2}}(?:([:-])[0-9A-Fa-f]{{2}})(?:\1[0-9A-Fa-f]{{2}}){{4}}{END}(?![:-][0-9A-Fa-f])"
)
SAID = r"(?:(?:number|no\.?|num|id|#|is|was|号码|号|为|是|[:：#\s]){0,6})"
NAMED = {
    "ssn": (
        ("ssn", "social security"),
        re.compile(
            r"(?:\bSSN|social security)[^\d\n]{0,30}(\d{3} ?\d{2} ?\d{4})(?!\d)", re.IGNORECASE
        ),
    ),
    "passport": (
        ("passport", "护照"),
        re.compile(
            rf"(?:\bpassport|护照)\s*{SAID}((?=[A-Z0-9]{{0,8}}\d{{4}})[A-Z0-9]{{6,12}}){END}",
            re.IGNORECASE,
        ),
    ),
    "id": (
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
            r"(?:\bdriver'?s?'? licen[cs]e|\bdriving licen[cs]e|\bmedical record|\bMRN\b|\bpatient id|\bmember id"
            r"|\bnational insurance|\bNHS|病历号|病案号|住院号|门诊号|社保卡?号?|医保卡?号?|驾驶证)"
            rf"\s*{SAID}((?=[A-Z0-9-]{{0,16}}\d{{4}})[A-Z0-9-]{{5,20}}){END}",
            re.IGNORECASE,
        ),
    ),
    "postcode": (
        ("zip", "post", "邮"),
        re.compile(
            rf"(?:\bzip(?: code)?|\bpost(?:al )?code|邮政编码|邮编)\s*{SAID}(\d{{5}}-\d{{4}}|\d{{4,6}}"
            rf"|[A-Z]{{1,2}}\d[A-Z\d]? ?\d[A-Z]{{2}}|[A-Z]\d[A-Z] ?\d[A-Z]\d){END}",
            re.IGNORECASE,
        ),
    ),
}
"""What only the words before it tell, and in what text it is worth looking for."""
DIGIT = re.compile(r"\d")
LONG = re.compile(r"\d[\d ()./·-]{4}")
PAIRS = re.compile(r"[0-9A-Fa-f]{2}([:-])[0-9A-Fa-f]{2}\1|:[0-9A-Fa-f]{0,4}:")
DIGITS = re.compile(rf"(?:\+|\(\+?)?\d(?<![A-Za-z0-9_.]\d)[\d ()./·-]{{4,24}}\d{END}")
PHONE_CUE = re.compile(
    r"(?:phone|\btel\b|telephone|mobile|\bcell|\bfax|\bcall|\bdial|\btext me|reach|contact|whatsapp"
    r"|电话|手机|联系方式|传真|致电|拨打|热线|微信)[^\d]{0,25}$",
    re.IGNORECASE,
)
REGIONS = {
    "en": ("US", "GB"),
    "zh": ("CN",),
    "de": ("DE", "AT", "CH"),
    "fr": ("FR",),
    "es": ("ES",),
    "it": ("IT",),
    "ja": ("JP",),
}
"""Whose numbers are known without their country's code, by the text's language."""
DATE = re.compile(r"\d{4}[-./]\d{1,2}[-./]\d{1,2}(?:\D|$)|\d{1,2}[-./]\d{1,2}[-./]\d{4}(?:\D|$)")


def find(text: str, lang: str) -> Iterator[Span]:
    """Every identifier of a text; they may overlap. A pattern is tried where a cheaper look finds it possible."""
    if "@" in text:
        yield from (_span(found, "email", found.group().lower()) for found in EMAIL.finditer(text))
    low = text.lower()
    if any(
        part in low
        for part in ("://", "www.", ".com", ".org", ".net", ".edu", ".gov", ".info", ".biz")
    ):
        yield from urls(text)
    if DIGIT.search(text):
        yield from numbers(text, low, lang)
    if PAIRS.search(text):
        yield from addresses_of_machines(text)


def urls(text: str) -> Iterator[Span]:
    """Web addresses and domains, without the punctuation behind them."""
    for found in URL.finditer(text):
        written = found.group().rstrip(".,;:!?)]}*_")
        yield Span(found.start(), found.start() + len(written), "url", written.lower())


def addresses_of_machines(text: str) -> Iterator[Span]:
    """IPv6 and MAC addresses."""
    for found in IPV6.finditer(text):
        if any(c.isdigit() for c in found.group()) and (address := ip(found.group())):
            yield _span(found, "ip", address)
    yield from (
        _span(found, "mac", found.group().lower().replace("-", ":")) for found in MAC.finditer(text)
    )


def numbers(text: str, low: str, lang: str) -> Iterator[Span]:
    """What is made of digits. A number is one thing: what is a card is no phone."""
    long = LONG.search(text)
    certain = [*(checked(text) if long else ()), *ibans(text), *named(text, low)]
    yield from certain
    if not long:
        return
    taken = [False] * (len(text) + 1)
    for span in certain:
        taken[span.start : span.end] = [True] * (span.end - span.start)
    yield from (span for span in phones(text, lang) if not any(taken[span.start : span.end]))


def checked(text: str) -> Iterator[Span]:
    """Numbers with a check sum, or a form of their own."""
    from stdnum import luhn
    from stdnum.cn import ric

    residents = set()
    for found in RESIDENT_ID.finditer(text):
        if ric.is_valid(found.group().replace("-", "")):
            residents.add(found.start())
            yield _span(found, "resident_id", ric.compact(found.group().replace("-", "")))
    for found in CARD.finditer(text):
        digits = re.sub(r"\D", "", found.group())
        if found.start() not in residents and ISSUER.match(digits) and luhn.is_valid(digits):
            yield _span(found, "card", digits)
    yield from (
        _span(found, "ssn", re.sub(r"\D", "", found.group())) for found in SSN.finditer(text)
    )
    for found in IPV4.finditer(text):
        address = ip(found.group())
        if address and not VERSION.search(text[max(0, found.start() - 12) : found.start()]):
            yield _span(found, "ip", address)


def ibans(text: str) -> Iterator[Span]:
    """IBANs; a form that runs on into the next word is cut at the blank."""
    from stdnum import iban

    for found in IBAN.finditer(text):
        written = found.group()
        while len(written) >= 15 and not iban.is_valid(written, check_country=False):
            written = written[: max(written.rfind(" "), written.rfind("-"), 0)]
        if len(written) >= 15:
            yield Span(found.start(), found.start() + len(written), "iban", iban.compact(written))


def named(text: str, low: str) -> Iterator[Span]:
    """Numbers that the words before them name."""
    for kind, (triggers, pattern) in NAMED.items():
        if any(trigger in low for trigger in triggers):
            for found in pattern.finditer(text):
                yield Span(
                    found.start(1), found.end(1), kind, re.sub(r"[\s-]", "", found[1]).upper()
                )


def phones(text: str, lang: str) -> Iterator[Span]:
    """Telephone numbers: valid ones of the language's countries or with a country's code, and what a word calls one."""
    end = 0
    for found in DIGITS.finditer(text):
        if (
            found.start() < end
            or not 6 <= len(digits := re.sub(r"\D", "", found.group())) <= 30
            or DATE.match(found.group())
        ):
            continue
        for span in _matched(text, found.start(), found.end(), lang):
            end = span.end
            yield span
        cue = PHONE_CUE.search(text[max(0, found.start() - 40) : found.start()])
        if end <= found.start() and cue and len(digits) <= 15:
            yield _span(found, "phone", digits)


def _matched(text: str, start: int, end: int, lang: str) -> Iterator[Span]:
    """What phonenumbers finds between two places. Bare digits count with a country's code, or as a Chinese mobile number."""
    from phonenumbers import Leniency, PhoneNumberFormat, PhoneNumberMatcher, format_number

    window, plus = text[start:end], "+" in text[start:end]
    for region in REGIONS.get(lang, ("ZZ",)) if not plus else ("ZZ",):
        found = [
            Span(
                start + m.start + (m.raw_string[0] == "(" and ")" not in m.raw_string),
                start + m.end,
                "phone",
                format_number(m.number, PhoneNumberFormat.E164),
            )
            for m in PhoneNumberMatcher(window, region, leniency=Leniency.VALID, max_tries=20)
            if plus or not m.raw_string.isdigit() or re.fullmatch(r"1[3-9]\d{9}", m.raw_string)
        ]
        if found:
            yield from found
            return


def ip(written: str) -> str:
    """The address in its shortest form, or nothing."""
    try:
        return ipaddress.ip_address(written).compressed
    except ValueError:
        return ""


def _span(found: re.Match[str], kind: str, normal: str) -> Span:
    return Span(found.start(), found.end(), kind, normal)
