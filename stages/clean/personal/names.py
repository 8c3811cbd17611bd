"""Names of persons, as far as the words around them tell: there is no model here that knows names.

Found are names behind a title (`Mrs.`), a label (`Name:`) or a phrase (`my name is`, `Dear`, `my
wife`), answers to a question about a name, names with an initial in the middle (`Jane R. Doe`), and
the words that an e-mail address in the text is made of. Chinese names: `chinese_names.py`. Not
found: a name without such words around it (`Jacob lives in Rome`). Four names of five in wordings
never seen before are found (docs/experiments.md, "Personal data").
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stages.clean.personal import chinese_names, things
from stages.clean.personal.chinese_names import HAN
from stages.clean.span import Span
from stages.clean.tables import read_words
from stages.core.records.record import fold

DATA = Path(__file__).parent / "data"
PARTICLES = frozenset(read_words(DATA / "name_particles.txt"))
STOP = frozenset(read_words(DATA / "never_names.txt"))
"""Words that no name has."""
NOT_GIVEN = frozenset(read_words(DATA / "never_given_names.txt"))
"""Before an initial these are no given names: `Hepatitis B. Patients`."""
NO_NAMES = STOP | NOT_GIVEN

TITLES = (
    "(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Professor|Sir|Madam|Herr|Frau|Monsieur|Madame|Mme|Señora?"
    "|Sr|Sra|Rev|Capt|Sgt|Lt|Col)"
)
LABELS = (
    "(?:(?:full|first|last|given|family|middle|maiden|patient|customer|client|contact"
    "|account holder|user|card)(?:'s)? )?name"  # Patient's name
    "|(?:billing|shipping|delivery|mailing) address"
    "|patient|attn|attention|signed|author|sender|recipient|physician|surgeon"
    "|next of kin|emergency contact"
)
RELATIVES = (
    "husband|wife|spouse|son|daughter|brother|sister|mother|father|mom|dad|friend|boss"
    "|colleague|uncle|aunt|cousin|neighbou?r|partner|boyfriend|girlfriend"
)
LETTER = r"[^\W\d_\u2e80-\u9fff\uac00-\ud7af]"
"""A letter of any script but Chinese, Japanese and Korean."""
NAME_WORD = re.compile(
    rf"{LETTER}\.(?!\w)"  # an initial: J.
    rf"|{LETTER}{{1,30}}(?:['’-]{LETTER}{{1,30}}){{0,3}}"  # Anna-Lena, O'Neill
    r"\d{0,3}(?!\w)"  # Jetta614, as synthetic data has it
)
"""One word of a name."""
BLANK = re.compile(" {1,2}")
MOST_WORDS = 5
"""Words of a name, particles and initials among them."""


@dataclass(frozen=True)
class Cue:
    """Words behind which a name stands."""

    triggers: tuple[str, ...]
    """Where none of them stands in the text in lower case, the pattern is not tried: it costs a
    hundred times as much.
    """
    pattern: re.Pattern[str]
    capitals: bool = True
    """Whether only words with a capital are the name.

    Otherwise any words are: `my name is jane doe`.
    """
    least: int = 1
    """Fewest words of the name: `I am Dutch` names nobody."""


def cue(triggers: str, pattern: str, capitals: bool = True, least: int = 1) -> Cue:
    """A cue, with its triggers between bars."""
    return Cue(tuple(triggers.split("|")), re.compile(pattern, re.IGNORECASE), capitals, least)


CUES = (
    # Mrs. Jane Doe
    cue(
        "mr|ms|miss|mx|dr|prof|sir|madam|herr|frau|monsieur|mme|señor|sr|rev|capt|sgt|lt|col",
        rf"\b(?-i:{TITLES})\b\.?\s+",
    ),
    # Name: Jane Doe
    cue(":|：|=", rf"\b(?:{LABELS})\s?[:：=]\s*"),
    # my name is jane doe
    cue(
        "name",
        r"\b(?:my|his|her|your|their|the) (?:full |real |first |last )?name(?: is|'s|’s)\s+"
        r"|\bname is\s+",
        capitals=False,
    ),
    # on behalf of Jane Doe
    cue("in the name of|on behalf of", r"\b(?:in the name|on behalf) of\s+"),
    # What's your name? User: Jane Doe
    cue(
        "name",
        r"\bname\b[^.?!\n]{0,40}\?\s{1,3}"
        r"(?:(?:user|customer|client|patient|answer|a|me)\s?:\s?)?",
    ),
    # change the name on my card to Jane Doe
    cue("name", r"\bname\b[^.?!\n]{0,60}\bto\s+", least=2),
    # Dear Jane
    cue(
        "dear|hi|hello|hey|good ",
        r"(?:^|[\n.!?]\s{0,3})"
        r"(?:good (?:morning|afternoon|evening)|dear|hi|hello|hey),?\s+",
    ),
    # Sincerely, Jane Doe
    cue(
        "sincerely|regards|wishes|yours|cheers|thanks|signed",
        r"\b(?:sincerely|regards|best wishes|yours truly|yours faithfully|cheers|many thanks"
        r"|signed),?\s+",
        least=2,
    ),
    # my husband Jim; a patient called Jane
    cue(
        "husband|wife|spouse|son|daughter|brother|sister|mother|father|mom|dad|friend|boss"
        "|colleague|uncle|aunt|cousin|neighb|partner|doctor|nurse|patient|man|boy|girl",
        rf"\b(?:(?:my|his|her|our|their) (?:{RELATIVES}),?\s(?:(?:is )?(?:named|called)\s)?"
        rf"|(?:{RELATIVES}|doctor|nurse|patient|(?:wo)?man|boy|girl|person) "
        r"(?:is )?(?:named|called)\s)",
    ),
    # I am Jane Doe
    cue(
        "i am|i'm|i’m|this is|under|account of",
        r"\b(?:I am|I'm|I’m|this is|it's under|it’s under|account of|under the name(?: of)?)\s+",
        least=2,
    ),
)
INITIAL = re.compile(rf" {LETTER}\. (?P<last>{LETTER}{{2,30}}(?:['’-]{LETTER}{{1,30}})?)(?!\w)")
"""An initial and a last name: the R. Doe of Jane R. Doe."""
FIRST = re.compile(rf"(?<!\w){LETTER}{{2,30}}$")
"""The given name before it: Jane."""
LONGEST_FIRST = 31
"""Characters before an initial among which the given name is looked for."""
QUESTION = re.compile(r", (?:can|could|would|will|may) ")
"""Stands in a text in which `SPOKEN_TO` is worth a try."""
SPOKEN_TO = re.compile(
    r"(?:^|(?<=[\n?!]))[ \n]{0,2}"
    rf"(?P<who>{LETTER}{{2,30}})"
    r"(?=, (?:can|could|would|will|may) (?:I|you|we)\b)"
)
"""Jane, could you help?"""
LIVING = (" lives ", " lived ", " resides ", " resided ")
AT_HOME = re.compile(
    rf"(?<!\w)(?P<who>{LETTER}{{2,30}}(?: {LETTER}{{2,30}}){{0,2}})"
    "(?= (?:lives|lived|resides|resided) (?:at|on) )"
)
"""Jane Doe lives at home."""
MAILBOX = re.compile(r"(?<![\w.+-])([\w.+-]{5,64})@")
"""The jane.doe of jane.doe@example.org."""
INITIAL_BETWEEN = re.compile(rf" {LETTER}\.? ")
"""Between two words of one name: the R. of Jane R. Doe."""
NO_LETTER = re.compile(r"[\W\d_]")


def find(text: str) -> Iterator[Span]:
    """Every name of a person that the words around it tell. They may overlap."""
    low = text.lower()
    for one in CUES:
        if not any(trigger in low for trigger in one.triggers):
            continue
        for match in one.pattern.finditer(text):
            start = match.end()
            end = _end_of_name(text, start, one.capitals)
            words = text[start:end].split()
            is_thing = things.is_name_of_thing(text, match) or any(map(things.is_substance, words))
            if len(words) >= one.least and not is_thing:
                yield person(text, start, end)
    if ". " in text:
        yield from with_initial(text)
    yield from addressed(text, low)
    if "@" in text:
        yield from of_mailboxes(text)
    if HAN.search(text):
        yield from chinese_names.find(text)


def with_initial(text: str) -> Iterator[Span]:
    """Names with an initial in the middle: Jane R. Doe."""
    for match in INITIAL.finditer(text):
        start = match.start()
        first = FIRST.search(text, max(0, start - LONGEST_FIRST), start)
        initial = text[start + 1]
        if not first or not initial.isupper():
            continue
        if is_name(first.group()) and is_name(match["last"]):
            yield person(text, first.start(), match.end())


def addressed(text: str, low: str) -> Iterator[Span]:
    """Persons who are spoken to, and persons who are at home somewhere. `low` is the text in lower
    case.
    """
    patterns = []
    if QUESTION.search(low):
        patterns.append(SPOKEN_TO)
    if any(word in low for word in LIVING):
        patterns.append(AT_HOME)
    for pattern in patterns:
        for match in pattern.finditer(text):
            who = match["who"]
            is_adverb = who.endswith("ly")  # Finally, could you …
            if not is_adverb and all(is_name(word) for word in who.split()):
                yield person(text, *match.span("who"))


def is_name(word: str) -> bool:
    """Whether a word has a capital and is none of those that no name has."""
    return word[0].isupper() and word.lower() not in NO_NAMES and not things.is_substance(word)


def of_mailboxes(text: str) -> Iterator[Span]:
    """Two or more words with a capital that an e-mail address in the text is made of: Jane Doe
    <jane.doe@…>.
    """
    boxes = [plain(match[1]) for match in MAILBOX.finditer(text)]
    start = end = 0  # the name so far; end is 0 where there is none
    for word in NAME_WORD.finditer(text):
        is_part = _is_part_of(word.group(), boxes)
        if end and is_part and _is_joined(text[end : word.start()]):
            end = word.end()
            continue
        if end and " " in text[start:end].strip():
            yield person(text, start, end)
        start, end = word.span() if is_part else (0, 0)
    if end and " " in text[start:end].strip():
        yield person(text, start, end)


def _is_part_of(word: str, boxes: list[str]) -> bool:
    """Whether one of the mailboxes is made of this word, among others."""
    if len(word) <= 2 or not word[0].isupper():
        return False
    letters = plain(word)
    return any(letters in box for box in boxes)


def _is_joined(between: str) -> bool:
    """Whether what stands between two words leaves them one name: white space, or an initial."""
    return not between.strip() or INITIAL_BETWEEN.fullmatch(between) is not None


def plain(text: str) -> str:
    """Letters alone, without case and accents: janedoe for Jané Doe."""
    decomposed = unicodedata.normalize("NFD", text)
    without_accents = [sign for sign in decomposed if not unicodedata.combining(sign)]
    return NO_LETTER.sub("", "".join(without_accents).casefold())


def _end_of_name(text: str, start: int, capitals: bool) -> int:
    """Where the name that begins at `start` ends. `start` itself where no name begins there.

    With `capitals`, every word but a particle must have a capital. A particle does not end a name:
    "Ludwig van" is Ludwig.
    """
    end = at = start
    for _ in range(MOST_WORDS):
        match = NAME_WORD.match(text, at)
        if not match:
            break
        word = match.group()
        low = word.lower()
        if low.rstrip(".") in STOP:
            break
        if low not in PARTICLES:
            if capitals and not word[0].isupper():
                break
            end = match.end()
        blank = BLANK.match(text, match.end())
        if not blank:
            break
        at = blank.end()
    return end


def person(text: str, start: int, end: int) -> Span:
    """The span of a person's name."""
    return Span(start, end, "person", fold(text[start:end]))
