"""The encoding of a text file: as it is set, or found in its bytes with `encoding: auto`.

1. A byte order mark decides, whatever is set.
2. UTF-32 and UTF-16 without a mark are known by their zero bytes. A few zero bytes are no sign of them.
3. The file is UTF-8 where at least half of its lines beyond ASCII are valid UTF-8. Text in another
   encoding hardly ever is.
4. Otherwise the file has an older encoding. Those of the source's language are compared: how well do
   the letters of each reading fit the language, the words and the signs around them? For Chinese,
   Japanese and Korean, charset-normalizer (github.com/jawah/charset_normalizer) gives a second opinion.

The same file always gives the same answer. Where two readings fit equally well, or none fits, the file
is refused with its candidates. Then name the encoding in params.yaml.
"""

import codecs
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from stages.core.project.errors import InputError
from stages.core.project.params import read_yaml
from stages.extract import language
from stages.extract.lines import MARK, MARKS, Line, decoded_lines, shown

TABLE = read_yaml(Path(__file__).parent / "data" / "encodings.yaml")
ENCODINGS: dict[str, list[str]] = TABLE["encodings"]
LETTERS: dict[str, dict[str, str]] = TABLE["letters"]
MULTIBYTE: dict[str, list[str]] = TABLE["multibyte"]
RARE: list[str] = TABLE["rare"]
FREQUENT: dict[str, str] = TABLE["frequent"]
EAST_ASIAN_SIGNS = "、。〈〉《》「」『』【】〔〕〜・“”‘’—…·～"
"""Signs of Chinese, Japanese and Korean texts."""
KNOWN = {name for languages in LETTERS.values() for name in languages} | MULTIBYTE.keys()
"""The languages with a list of letters."""
LATIN = {
    name
    for group in ("western", "central", "baltic", "turkish", "vietnamese")
    for name in LETTERS[group]
}
"""The languages of Latin letters."""
MOST_MESS = 0.2
"""Most mess, as charset-normalizer measures it, of a reading that is text."""
SAMPLE = 2**16
"""Bytes that are examined, of lines that are not valid UTF-8."""
WORDS = 2500
"""Bytes of different words of the sample that are compared."""
LONGEST_WORD = 400
"""Longest word in bytes."""
# The longest beginning of a word that ends with a byte below 0x40, such as a digit or a comma.
CUT = re.compile(rb".{0,399}[\x00-\x3f]", re.DOTALL)
FIT = 0.25
"""Most penalty of a character, on average, under an encoding that fits."""
AHEAD = 0.05
"""Least penalty by which another reading must be worse, for each character that differs."""
CERTAIN = 0.6
"""Least sum of penalties by which another reading must be worse."""
FOREIGN = 1.0
"""Sum of penalties from which on readings in other languages are considered too."""
WIDER = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
    "big5": "big5hkscs",
}
"""Encoding that a file or a setting names → the wider one that browsers read instead
(encoding.spec.whatwg.org). Files have its characters, such as the euro sign of Windows-1252."""
MOST_SEQUENCES = 8
"""Different characters beyond ASCII that are valid UTF-8 by chance in no text of another encoding."""
# A character beyond ASCII in UTF-8: its first byte, and one to three further ones.
SEQUENCE = re.compile(rb"[\xc2-\xf4][\x80-\xbf]{1,3}")
UNSURE = "unsure"
"""Stands for the encoding of a file in `sources.json` that was refused."""


def lines_of(path: Path, encoding: str, lang: str) -> Iterator[Line]:
    """Yield the lines of a file whose every line stands for itself, such as JSON Lines.

    `encoding` is the setting, perhaps `auto`. No line begins with a byte order mark, which stands where
    files were put together. Raises InputError as `resolved` and `decoded_lines` do.
    """
    for line in decoded_lines(path, resolved(encoding, path, lang)):
        text = None if line.text is None else line.text.lstrip(MARK)
        yield Line(line.number, line.raw.lstrip(MARK), text)


def resolved(encoding: str, path: Path, lang: str) -> str:
    """Return the encoding from the settings, or the detected one where it is `auto`.

    A byte order mark decides before both. A narrow encoding is read as its wider form, as browsers do.
    Raises InputError where `auto` is unsure, and where the setting is not UTF-8 but the file is.
    """
    with path.open("rb") as file:
        start = file.read(4)
    marked = encoding_of_mark(start)
    if marked:
        return marked
    if "\0" in encoding:
        # Python's list of encodings takes no such name.
        raise InputError(
            f"extract: {path}: unknown encoding: {shown(encoding)}; "
            "set the source's `encoding` to what the file is written in"
        )
    if encoding == "auto":
        return detected(path, lang)
    try:
        name = codecs.lookup(encoding).name
        is_like_ascii = "\n".encode(encoding) == b"\n"
    except (LookupError, UnicodeError):
        return encoding  # whoever decodes the file refuses it
    if name.startswith("utf") or not is_like_ascii:
        return encoding
    if is_surely_utf8(path, name):
        raise InputError(
            f"extract: {path}: every character beyond ASCII is UTF-8, and `encoding` says {encoding}; "
            "set the source's `encoding` to utf-8, or to auto"
        )
    return WIDER.get(name, encoding)


def is_surely_utf8(path: Path, name: str) -> bool:
    """Whether a file is UTF-8, although something says that it has an older encoding `name`.

    In the Western encodings the bytes of one UTF-8 character are a capital and a sign, such as `Ã©`,
    which no text has. Elsewhere a few characters may be valid UTF-8 by chance.
    """
    needed = 1 if WIDER.get(name, name) in ENCODINGS["western"] else MOST_SEQUENCES
    sequences: set[bytes] = set()
    with path.open("rb") as file:
        # A line without an end would fill the memory, so it is examined in pieces.
        rest = b""
        while line := file.readline(SAMPLE):
            piece = rest + line
            if piece.isascii():
                rest = b""
                continue
            try:
                piece.decode()
                rest = b""
            except UnicodeDecodeError as error:
                # A piece may end inside a character, of which three bytes are there at most.
                if error.reason != "unexpected end of data" or piece.endswith(b"\n"):
                    return False
                rest = piece[error.start :]
            if len(sequences) < needed:
                sequences.update(SEQUENCE.findall(piece))
    return not rest and len(sequences) >= needed


def counted(files: Iterable[Path], encoding: str, lang: str) -> dict[str, dict[str, int]]:
    """Count the detected encodings of files, for `sources.json`. Empty where none is detected."""
    if encoding != "auto":
        return {}
    counts: Counter[str] = Counter()
    for path in files:
        try:
            counts[resolved(encoding, path, lang)] += 1
        except InputError:
            counts[UNSURE] += 1
    return {"encodings": dict(sorted(counts.items()))}


def encoding_of_mark(start: bytes) -> str:
    """Return the encoding that a byte order mark at the start of a file says, or an empty text."""
    for mark, encoding in MARKS.items():
        if start.startswith(mark):
            return encoding
    return ""


def detected(path: Path, lang: str) -> str:
    """Return Python's name of a file's encoding. Raises InputError where it is unsure.

    utf-8 covers ASCII too, and gb18030 covers GB 2312 and GBK.
    """
    with path.open("rb") as file:
        start = file.read(SAMPLE)
    encoding = encoding_of_mark(start) or wide(start)
    if encoding:
        return encoding
    lines = utf8_lines = other_lines = 0
    sample: list[bytes] = []
    sample_size = 0
    with path.open("rb") as file:
        # A line without an end would fill the memory, so it is examined in pieces.
        while line := file.readline(SAMPLE):
            lines += 1
            if line.isascii():
                continue
            if is_text(line, "utf-8"):
                utf8_lines += 1
                continue
            other_lines += 1
            if sample_size < SAMPLE:
                sample.append(line)
                sample_size += len(line)
    if utf8_lines >= other_lines:
        return "utf-8"
    try:
        encoding = older(sample, lang, path)
    except InputError:
        if other_lines * ODD_LINES > lines:
            raise
        # A few lines with wrong bytes. They are set aside, each for itself.
        return "utf-8"
    # A short line of Chinese, Japanese or Korean may be valid UTF-8 by chance.
    if utf8_lines and not any(encoding in encodings for encodings in MULTIBYTE.values()):
        raise InputError(
            f"extract: {path}: {utf8_lines:,} lines are UTF-8, and {other_lines:,} are not; "
            "set `encoding` to the one that counts (lines in another are set aside), or mend the file"
        )
    return encoding


def wide(start: bytes) -> str:
    """Return the name of UTF-32 or UTF-16 without a byte order mark, or an empty text.

    `start`: the beginning of a file. In other encodings a zero byte is a fault, and stands for nothing.
    """
    if b"\0" not in start:
        return ""
    for encoding in ("utf-32-le", "utf-32-be"):
        # Every fourth byte of UTF-32 is zero, so no other text is valid in it.
        if len(start) >= 8 and is_text(start[: len(start) // 4 * 4], encoding):
            return encoding
    for encoding in ("utf-16-le", "utf-16-be"):
        if is_utf16(start, encoding):
            return encoding
    return ""


# What a text says of its own encoding. Examples: `charset=koi8-r`, `<?xml version="1.0" encoding='GBK'?>`.
DECLARED = re.compile(rb"(?:charset|encoding)\s*=\s*[\"']?([a-zA-Z][\w.:-]*)")
CONTROLS = [bytes([number]) for number in range(1, 32) if number not in b"\t\n\r"]
"""Bytes that stand for control characters in UTF-8."""


def is_utf16(start: bytes, encoding: str) -> bool:
    """Whether the beginning of a file is UTF-16 of one byte order."""
    # The zero byte is the upper half of a Latin letter: in little endian it comes second.
    upper, lower = (
        (start[1::2], start[::2]) if encoding == "utf-16-le" else (start[::2], start[1::2])
    )
    zeros = upper.count(0)
    controls = sum(start.count(control) for control in CONTROLS)
    is_utf8 = is_text(start[: start.rfind(b"\n") + 1] or start, "utf-8")
    # The upper halves of Greek, Cyrillic, Hebrew … letters are control characters in UTF-8.
    if is_utf8 and controls * 10 < len(start):
        # Latin text of UTF-16 is valid UTF-8 too, with a zero byte behind or before each letter.
        return zeros * 2 >= len(upper) and lower.count(0) * 20 <= zeros
    text = start[: len(start) // 2 * 2].decode(encoding, errors="replace")
    wrong = sum(
        1 for sign in text if unicodedata.category(sign) in ("Cn", "Co") or sign in "\0\ufffd"
    )
    if wrong * 100 > len(text):
        return False
    # Elsewhere line ends are hardly ever beside a zero byte. Some letters have the byte of a line end
    # as one half, such as 上 (U+4E0A), so that not all such bytes are line ends.
    ends = start.count(b"\n")
    paired = text.count("\n")
    return paired * 10 >= ends if ends else zeros * 4 >= len(upper)


BROKEN = 1.0
"""Least penalty of a word that has wrong bytes, if no reading of it has less."""
MOST_WHOLE = 0.9
"""Least share of words without wrong bytes, for the others to be left out."""
ODD_LINES = 20
"""A file is UTF-8 or ASCII where at least so many lines are, for each one that is in no clear encoding."""
OWN_SCRIPT = 0.15
"""Most penalty of a character, on average, of a text whose script hardly any other language has."""
OVERRULES = 3.0
"""Least sum of penalties by which a reading in another language must be better than one in the source's."""


class Judgement(NamedTuple):
    """How well a reading of words fits a language."""

    encoding: str
    words: list[str]
    """The words as they are read."""
    penalties: list[float]
    """Penalty of each word."""
    signs: list[int]
    """Number of characters beyond ASCII in each word."""

    @property
    def total(self) -> float:
        """Sum of the penalties. A rare encoding has a handicap."""
        return sum(self.penalties) + (CERTAIN if self.encoding in RARE else 0.0)

    @property
    def mean(self) -> float:
        """Penalty of a character beyond ASCII, on average."""
        return sum(self.penalties) / max(1, sum(self.signs))

    def of(self, chosen: list[int]) -> "Judgement":
        """Return the judgement of some of the words, by their numbers."""
        return Judgement(
            self.encoding,
            [self.words[number] for number in chosen],
            [self.penalties[number] for number in chosen],
            [self.signs[number] for number in chosen],
        )


def older(lines: list[bytes], lang: str, path: Path) -> str:
    """Return the encoding of lines that are not UTF-8. Raises InputError where it is unsure."""
    content = b"".join(lines)
    code = lang.partition("-")[0].lower()
    words = words_of(lines)
    # The letters of ASCII tell the language too, where they are enough.
    guess = language.detected(ascii_text(lines), None)
    is_declared = code in KNOWN
    if not is_declared:
        code = guess
    expected = judgements(words, code)
    # A rare encoding needs more evidence than the letters of the language.
    is_expected = bool(expected) and is_clear(expected) and expected[0].encoding not in RARE
    if is_expected and code in MULTIBYTE:
        # A second opinion, which may be that it does not know.
        is_expected = likeliest(content, MULTIBYTE[code]) in (None, expected[0].encoding)
    if is_expected and guess in KNOWN and guess != code:
        # The text may be in another language than the source says. Then both must read the same.
        others = judgements(words, guess)
        is_same = others[0].words == expected[0].words
        is_expected = is_same or others[0].total > expected[0].total
    # A script of its own is evidence enough. Latin letters are much alike in many languages.
    is_own_script = is_expected and is_in_own_script(code, expected[0])
    if is_own_script or (is_expected and expected[0].total < FOREIGN):
        return expected[0].encoding
    # Letters of another language occur, or the language is not known.
    judged = judgements(words, "")
    if is_clear(judged):
        is_same = bool(expected) and expected[0].words == judged[0].words
        if not is_declared or is_same or judged[0].total <= expected[0].total - OVERRULES:
            return judged[0].encoding
    if is_expected and judged[0].total >= expected[0].total - max(0.3, expected[0].total / 10):
        return expected[0].encoding
    # Two opinions that agree count.
    candidates = MULTIBYTE.get(code, [])
    if judged[0].encoding in candidates and likeliest(content, candidates) == judged[0].encoding:
        return judged[0].encoding
    declared = DECLARED.search(content)
    if declared and is_known(declared[1].decode("ascii")):
        return codecs.lookup(declared[1].decode("ascii")).name
    readings = []
    example_number = differing_word(judged[:3])
    for judgement in judged[:3]:
        example = shown(judgement.words[example_number][:40])
        readings.append(f"{judgement.encoding} reads {example!r}")
    raise InputError(
        f"extract: {path}: the encoding is not sure: {', '.join(readings)}; "
        "set the source's `encoding` to the right one, or its `lang` to the language of the text"
    )


def differing_word(judged: list[Judgement]) -> int:
    """Return the number of the first word that readings show differently, as an example."""
    for number in range(len(judged[0].words)):
        if len({judgement.words[number] for judgement in judged}) == len(judged):
            return number
    return 0


def is_in_own_script(code: str, judgement: Judgement) -> bool:
    """Whether a reading fits a language so well that its script alone is evidence enough."""
    if code in MULTIBYTE:
        return True
    return code not in LATIN and judgement.mean <= OWN_SCRIPT


def ascii_text(lines: list[bytes]) -> str:
    """Return the text of lines with a blank in place of each byte beyond ASCII.

    Under every older encoding it is the same.
    """
    return b" ".join(lines).decode("ascii", errors="replace").replace("\ufffd", " ")


def words_of(lines: list[bytes]) -> list[bytes]:
    """Return different words of lines with bytes beyond ASCII, in their order, so that they fill WORDS."""
    words: dict[bytes, None] = {}
    size = 0
    for line in lines:
        for word in line.split():
            if word.isascii() or word in words:
                continue
            if len(word) > LONGEST_WORD:
                # Chinese has no blanks. Bytes below 0x40 are half of no character, so a word is cut there.
                match = CUT.match(word)
                words[match[0] if match else word[:LONGEST_WORD]] = None
            else:
                words[word] = None
            size += min(len(word), LONGEST_WORD)
            if size >= WORDS:
                return list(words)
    return list(words)


def judgements(words: list[bytes], code: str) -> list[Judgement]:
    """Judge the readings of words, the best first. Readings of equal text count as one.

    `code`: the language, ISO 639-1. Empty: every language. A language that is not known has none.
    """
    if code in MULTIBYTE:
        # Bytes that are in no encoding of the language tell nothing about which it is.
        valid = [word for word in words if any(is_text(word, name) for name in MULTIBYTE[code])]
        words = valid or words
    judged: list[Judgement] = []
    for group, languages in LETTERS.items():
        for name, letters in languages.items():
            if code not in ("", name):
                continue
            for encoding in ENCODINGS[group]:
                judged.append(judged_reading(words, encoding, letters))
    for name, encodings in MULTIBYTE.items():
        if code not in ("", name):
            continue
        for encoding in encodings:
            judged.append(judged_east_asian(words, encoding, name))
    if not judged:
        return []
    judged = without_broken_words(judged)
    best: dict[str, Judgement] = {}
    for judgement in judged:
        text = "\n".join(judgement.words)
        if text not in best or judgement.total < best[text].total:
            best[text] = judgement
    # `sorted` keeps the order of equal ones, so that the more common encoding comes first.
    return sorted(best.values(), key=lambda judgement: judgement.total)


def without_broken_words(judged: list[Judgement]) -> list[Judgement]:
    """Leave out words that fit under no reading, where they are few. They hold wrong bytes."""
    chosen = []
    count = len(judged[0].words)
    for number in range(count):
        least = min(judgement.penalties[number] for judgement in judged)
        if least < BROKEN:
            chosen.append(number)
    if len(chosen) < count * MOST_WHOLE:
        return judged
    return [judgement.of(chosen) for judgement in judged]


def is_clear(judged: list[Judgement]) -> bool:
    """Whether the best reading fits, and every other one fits clearly less."""
    first = judged[0]
    if first.mean > FIT:
        return False
    for other in judged[1:]:
        # Readings may differ in one letter only. Then that one letter must tell them apart.
        pairs = zip("\n".join(first.words), "\n".join(other.words), strict=False)
        differing = sum(1 for sign, other_sign in pairs if sign != other_sign)
        if other.total - first.total < max(CERTAIN, AHEAD * differing):
            return False
    return True


def judged_east_asian(words: list[bytes], encoding: str, name: str) -> Judgement:
    """Judge how well words fit Chinese, Japanese or Korean, if they are in an encoding."""
    texts = [word.decode(encoding, errors="replace") for word in words]
    frequent = FREQUENT[name]
    penalties, counts = [], []
    for text in texts:
        signs = [sign for sign in text if not sign.isascii()]
        penalty = sum(penalty_of_east_asian(sign, frequent) for sign in signs)
        # One such character alone among Latin letters is hardly ever meant.
        penalties.append(penalty + 1 if len(signs) == 1 else penalty)
        counts.append(len(signs))
    return Judgement(encoding, texts, penalties, counts)


@lru_cache(maxsize=2**16)
def penalty_of_east_asian(sign: str, frequent: str) -> float:
    """Return how unlikely a character is, from 0 (usual) to 2."""
    if sign in frequent:
        return 0.0
    script = unicodedata.name(sign, "").partition(" ")[0]
    if script == "CJK" and "\u4e00" <= sign <= "\u9fff":
        return 0.3
    if script == "HANGUL" and frequent == FREQUENT["ko"]:
        return 0.3
    if script in ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA") and frequent == FREQUENT["ja"]:
        return 0.0
    if script in ("FULLWIDTH", "IDEOGRAPHIC") or sign in EAST_ASIAN_SIGNS:
        return 0.1
    return 2.0 if unicodedata.category(sign) in ("Cn", "Co", "So") or sign == "\ufffd" else 1.0


def judged_reading(words: list[bytes], encoding: str, letters: str) -> Judgement:
    """Judge how well words fit a language with these letters, if they are in an encoding."""
    decoded = [word.decode(encoding, errors="replace") for word in words]
    texts = [unicodedata.normalize("NFC", text) for text in decoded]
    penalties, counts = [], []
    for text in texts:
        penalty, count = penalty_of_word(text, letters)
        penalties.append(penalty)
        counts.append(count)
    return Judgement(encoding, texts, penalties, counts)


def penalty_of_word(word: str, letters: str) -> tuple[float, int]:
    """Return how unlikely a word is in a language, and its number of characters beyond ASCII."""
    is_latin = is_latin_alphabet(letters)
    penalty = len(word) / 2 if is_latin and is_foreign(word) else 0.0
    count = 0
    for position, sign in enumerate(word):
        if sign.isascii():
            continue
        count += 1
        before = word[position - 1] if position else " "
        after = word[position + 1] if position + 1 < len(word) else " "
        if sign.isalpha() and sign not in "ªºµ":
            penalty += penalty_of_letter(sign, before, after, letters)
        else:
            penalty += penalty_of_sign(sign, before, after, is_latin=is_latin)
    return penalty, count


def is_latin_alphabet(letters: str) -> bool:
    """Whether letters are Latin, by the first of them. Latin letters stand in two ranges of Unicode."""
    return letters[0] < "\u0250" or "\u1e00" <= letters[0] < "\u1f00"


def is_foreign(word: str) -> bool:
    """Whether all letters of a long word are beyond ASCII, as in no language of Latin letters."""
    letters = [sign for sign in word if sign.isalpha()]
    return len(letters) > 3 and not any(sign.isascii() for sign in letters)


@lru_cache(maxsize=2**16)
def penalty_of_letter(sign: str, before: str, after: str, letters: str) -> float:
    """Return how unlikely a letter is between two characters, from 0 (usual) to about 2."""
    is_latin = is_latin_alphabet(letters)
    lower = sign if sign in letters else sign.lower()
    place = letters.find(lower)
    if place < 0:
        penalty = 1.0
    elif is_latin:
        penalty = 0.0
    else:
        # From 0 for the most frequent letter to 0.4 for the rarest.
        penalty = 0.4 * place / len(letters)
    if before.islower() and sign.isupper():
        penalty += 1
    if sign.islower() and after.isupper():
        penalty += 1
    if not is_latin and sign.isupper() and before.isupper():
        # Text in capitals is rare. KOI8 read as Windows-1251 is in capitals.
        penalty += 0.1
    if is_latin and sign.isupper() and not before.isalpha() and not after.isalpha():
        penalty += 0.3
    for neighbour in (before, after):
        if neighbour.isalpha() and script_of(neighbour) != script_of(sign):
            penalty += 1
        elif neighbour.isdecimal():
            penalty += 0.3
    return penalty


@lru_cache(maxsize=2**14)
def script_of(letter: str) -> str:
    """Return the script of a letter, as Unicode names it. Example: `LATIN`."""
    return unicodedata.name(letter, "").partition(" ")[0]


QUOTES = "«»‹›„‚“”‘’–—…¿¡\u00a0"
OPENING, CLOSING = "«‹„‚“‘¿¡", "»›”’“‘…™®©²³¹‰ªº–—"
"""Signs that may stand directly before a letter, and directly behind one."""
USUAL = "§°±²³¹µ·×÷¼½¾€£¥¢†‡•‰‹›«»„‚“”‘’–—…™©®¿¡¬¶ªº№\u00a0\u00ad\u2009\u200c\u200d\u200e\u200f،؛؟"
"""Signs that texts of all kinds use."""


@lru_cache(maxsize=2**14)
def penalty_of_sign(sign: str, before: str, after: str, *, is_latin: bool) -> float:
    """Return how unlikely a character that is no letter is between two characters."""
    if unicodedata.category(sign) == "Mn" and not is_latin:
        return 0.0 if before.isalpha() or unicodedata.category(before) == "Mn" else 1.0
    if sign not in USUAL:
        return 1.0
    is_beside_sign = not before.isascii() and not before.isalpha() and before not in QUOTES
    if is_beside_sign and sign not in QUOTES and unicodedata.category(before) != "Mn":
        # Texts hardly have two such signs side by side. Wrong readings do: `†°¢`.
        return 0.7
    if before.isalpha() and after.isalpha() and sign != "µ":
        # An apostrophe or a soft hyphen within a word. Examples: l’eau, п’ять.
        if sign in "’·\u00ad\u200c\u200d":
            return 0.0
        # Most dashes have blanks around them.
        return 0.4 if sign in "–—" else 1.0
    if before.isalpha() and sign not in CLOSING and sign not in "\u00a0،؛؟·•\u200e\u200f\u00ad":
        return 1.0
    if after.isalpha() and sign not in OPENING and sign not in "\u00a0–—°µ•§\u200e\u200f©":
        return 1.0
    return 0.0


def likeliest(content: bytes, candidates: list[str]) -> str | None:
    """Return the candidate under which bytes look most like text. None: all give too much mess."""
    from charset_normalizer import from_bytes

    match = from_bytes(
        content,
        cp_isolation=candidates,
        threshold=MOST_MESS,
        enable_fallback=False,
        preemptive_behaviour=False,
    ).best()
    if match is None or match.encoding not in candidates:
        return None
    return match.encoding


def is_known(encoding: str) -> bool:
    """Whether Python knows an encoding, and it is an older one."""
    try:
        return not codecs.lookup(encoding).name.startswith("utf")
    except LookupError:
        return False


def is_text(content: bytes, encoding: str) -> bool:
    """Whether bytes are valid in an encoding."""
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
