"""Names of persons, as far as the words around them tell: there is no model here that knows names.

Found are names behind a title (`Mrs.`), a label (`Name:`) or a phrase (`my name is`, `Dear`, `my wife`), answers to a
question about a name, names with an initial in the middle (`Jane R. Doe`), and the words of which an e-mail address in
the text is made. Chinese names: `chinese_names.py`. Not found: a name of which nothing of this kind is said (`Jacob lives
in Rome`). In wordings never seen
before that is four names of five (docs/experiments.md, "Personal data").
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from stages.clean.personal import chinese_names
from stages.clean.personal.chinese_names import HAN
from stages.clean.span import Span
from stages.core.records.record import fold

TITLES = r"(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Professor|Sir|Madam|Herr|Frau|Monsieur|Madame|Mme|Señora?|Sr|Sra|Rev|Capt|Sgt|Lt|Col)"
LABELS = (
    r"(?:(?:full|first|last|given|family|middle|maiden|patient|customer|client|contact|account holder|user|card)(?:'s)? )?name"
    r"|(?:billing|shipping|delivery|mailing) address|patient|attn|attention|signed|author|sender|recipient|physician|surgeon"
    r"|next of kin|emergency contact"
)
RELATIVES = (
    "husband|wife|spouse|son|daughter|brother|sister|mother|father|mom|dad|friend|boss|colleague|uncle|aunt|cousin|neighbou?r"
    "|partner|boyfriend|girlfriend"
)


@dataclass(frozen=True)
class Cue:
    """Words behind which a name stands."""

    triggers: tuple[str, ...]
    """One of them stands in the text in lower case, or the pattern is not tried: it costs a hundred times as much."""
    pattern: re.Pattern[str]
    capitals: bool = True
    """Whether only words with a capital are the name; else the words as they come: `my name is jane doe`."""
    least: int = 1
    """Fewest words: `I am Dutch` names nobody."""


def cue(triggers: str, pattern: str, capitals: bool = True, least: int = 1) -> Cue:
    """A cue; triggers stand between bars."""
    return Cue(tuple(triggers.split("|")), re.compile(pattern, re.IGNORECASE), capitals, least)


CUES = (
    cue(
        "mr|ms|miss|mx|dr|prof|sir|madam|herr|frau|monsieur|mme|señor|sr|rev|capt|sgt|lt|col",
        rf"\b(?-i:{TITLES})\b\.?\s+",
    ),
    cue(":|：|=", rf"\b(?:{LABELS})\s?[:：=]\s*"),
    cue(
        "name",
        r"\b(?:my|his|her|your|their|the) (?:full |real |first |last )?name(?: is|'s|’s)\s+|\bname is\s+",
        capitals=False,
    ),
    cue("in the name of|on behalf of", r"\b(?:in the name|on behalf) of\s+"),
    cue(
        "name",
        r"\bname\b[^.?!\n]{0,40}\?\s{1,3}(?:(?:user|customer|client|patient|answer|a|me)\s?:\s?)?",
    ),
    cue("name", r"\bname\b[^.?!\n]{0,60}\bto\s+", least=2),
    cue(
        "dear|hi|hello|hey|good ",
        r"(?:^|[\n.!?]\s{0,3})(?:good (?:morning|afternoon|evening)|dear|hi|hello|hey),?\s+",
    ),
    cue(
        "sincerely|regards|wishes|yours|cheers|thanks|signed",
        r"\b(?:sincerely|regards|best wishes|yours truly|yours faithfully|cheers|many thanks|signed),?\s+",
        least=2,
    ),
    cue(
        "husband|wife|spouse|son|daughter|brother|sister|mother|father|mom|dad|friend|boss|colleague|uncle|aunt|cousin|neighb"
        "|partner|doctor|nurse|patient|man|boy|girl",
        rf"\b(?:(?:my|his|her|our|their) (?:{RELATIVES}),?\s(?:(?:is )?(?:named|called)\s)?"
        rf"|(?:{RELATIVES}|doctor|nurse|patient|(?:wo)?man|boy|girl|person) (?:is )?(?:named|called)\s)",
    ),
    cue(
        "i am|i'm|i’m|this is|under|account of",
        r"\b(?:I am|I'm|I’m|this is|it's under|it’s under|account of|under the name(?: of)?)\s+",
        least=2,
    ),
)
LETTER = r"[^\W\d_\u2e80-\u9fff\uac00-\ud7af]"
NAME_WORD = re.compile(
    rf"{LETTER}\.(?!\w)|{LETTER}{{1,30}}(?:['’-]{LETTER}{{1,30}}){{0,3}}\d{{0,3}}(?!\w)"
)
BLANK = re.compile(r" {1,2}")
PARTICLES = set(
    "de del della der den van von zu bin ibn al el di da do dos la le ter ten y e".split()
)
STOP = set(
    "mr mrs ms miss mx dr prof professor herr frau the a an and or but of in on at to for from with by is are was were be "
    "been i you he she it we they my your his her our their this that these those not no yes please thanks thank hello hi "
    "hey dear sorry sir madam all everyone there team folks world doctor address phone telephone tel mobile fax email e-mail "
    "website date birth dob age sex gender name number account title company subject re patient customer user bot agent "
    "here just very so what who when where why how can could would will have has had do does did if then than as also "
    "calling writing speaking unknown none null nan n/a incorrect correct wrong required".split()
)
INITIAL = re.compile(rf" {LETTER}\. (?P<last>{LETTER}{{2,30}}(?:['’-]{LETTER}{{1,30}})?)(?!\w)")
FIRST = re.compile(rf"(?<!\w){LETTER}{{2,30}}$")
SPOKEN_TO = re.compile(
    rf"(?:^|(?<=[\n?!]))[ \n]{{0,2}}(?P<who>{LETTER}{{2,30}})(?=, (?:can|could|would|will|may) (?:I|you|we)\b)"
)
AT_HOME = re.compile(
    rf"(?<!\w)(?P<who>{LETTER}{{2,30}}(?: {LETTER}{{2,30}}){{0,2}})(?= (?:lives|lived|resides|resided) (?:at|on) )"
)
MAILBOX = re.compile(r"(?<![\w.+-])([\w.+-]{5,64})@")
NOT_GIVEN = set(
    "vitamin hepatitis type group grade class factor plan phase stage part appendix figure fig table influenza option "
    "section war protein chapter theorem lemma case level lot model item page step unit vol volume".split()
)
"""Before an initial these are no given names: `Hepatitis B. Patients`."""


def find(text: str) -> Iterator[Span]:
    """Every name of a person that the words around it tell; they may overlap."""
    low = text.lower()
    for one in CUES:
        if any(trigger in low for trigger in one.triggers):
            for found in one.pattern.finditer(text):
                end = _end(text, found.end(), one.capitals)
                if len(text[found.end() : end].split()) >= one.least:
                    yield person(text, found.end(), end)
    if ". " in text:
        yield from with_initial(text)
    yield from addressed(text, low)
    if "@" in text:
        yield from of_mailboxes(text)
    if HAN.search(text):
        yield from chinese_names.find(text)


def with_initial(text: str) -> Iterator[Span]:
    """Names with an initial in the middle."""
    for found in INITIAL.finditer(text):
        first = FIRST.search(text, max(0, found.start() - 31), found.start())
        if (
            first
            and text[found.start() + 1].isupper()
            and is_name(first.group())
            and is_name(found["last"])
        ):
            yield person(text, first.start(), found.end())


def addressed(text: str, low: str) -> Iterator[Span]:
    """Who is spoken to, and who is at home somewhere."""
    patterns = [SPOKEN_TO] if re.search(r", (?:can|could|would|will|may) ", low) else []
    patterns += (
        [AT_HOME]
        if any(word in low for word in (" lives ", " lived ", " resides ", " resided "))
        else []
    )
    for pattern in patterns:
        for found in pattern.finditer(text):
            if all(is_name(word) for word in found["who"].split()) and not found["who"].endswith(
                "ly"
            ):
                yield person(text, *found.span("who"))


def is_name(word: str) -> bool:
    """Whether a word has a capital and is none of those that no name has."""
    return word[0].isupper() and word.lower() not in STOP | NOT_GIVEN


def of_mailboxes(text: str) -> Iterator[Span]:
    """Words with a capital of which an e-mail address in the text is made: Jane Doe <jane.doe@…>."""
    boxes = [plain(found[1]) for found in MAILBOX.finditer(text)]
    start, end = 0, 0
    for word in [*NAME_WORD.finditer(text), None]:
        of_box = (
            word
            and word.group()[0].isupper()
            and len(word.group()) > 2
            and any(plain(word.group()) in box for box in boxes)
        )
        joined = word and (
            text[end : word.start()].strip() == ""
            or re.fullmatch(rf" {LETTER}\.? ", text[end : word.start()])
        )
        if end and not (of_box and joined):
            if " " in text[start:end].strip():
                yield person(text, start, end)
            end = 0
        if word and of_box:
            start, end = (start if end else word.start()), word.end()


def plain(text: str) -> str:
    """Letters alone, without case and accents."""
    return re.sub(
        r"[\W\d_]",
        "",
        "".join(
            c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c)
        ).casefold(),
    )


def _all_lower(words: list[str], kind: str) -> bool:
    return kind in ("title", "label") and not any(word[0].isupper() for word in words)


def _end(text: str, at: int, capitals: bool) -> int:
    """Where the name that begins at a place ends: at most four words, an initial or a particle among them."""
    end, here = at, at
    for _ in range(5):
        word = NAME_WORD.match(text, here)
        if not word or word.group().lower().rstrip(".") in STOP:
            break
        particle = word.group().lower() in PARTICLES
        if not particle and (capitals and not word.group()[0].isupper()):
            break
        if not particle:
            end = word.end()
        blank = BLANK.match(text, word.end())
        if not blank:
            break
        here = blank.end()
    return end


def person(text: str, start: int, end: int) -> Span:
    """A span of a person."""
    return Span(start, end, "person", fold(text[start:end]))
