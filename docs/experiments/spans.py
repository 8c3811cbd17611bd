"""How well are dates and quantities found in running text? Precision, recall and F1 against labels written by hand.

    PYTHONPATH=. python docs/experiments/spans.py <folder of the real data> tuning [--errors]
    PYTHONPATH=. python docs/experiments/spans.py <folder of the real data> sealed
    PYTHONPATH=. python docs/experiments/spans.py <folder of the real data> draw

The labels stand in tests/stages/spans/, with what counts as what. They hold no sentences: each row says where its sentence
stands and what its hash is. A find is right where it starts and ends as the label does, up to white space, and says the same:
a date as text, a quantity after conversion to base units. `--errors` lists what was missed and what was found wrongly, of
the tuning half only. `draw` prints the rows of both halves as they were drawn, without labels.
"""

import argparse
import csv
import hashlib
import json
import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain, islice
from math import isclose
from pathlib import Path
from typing import Any

import pint
from lxml import etree

from stages.clean.span import Span
from stages.clean.tables import read_lines
from stages.clean.values import chinese

LABELS = Path(__file__).parents[2] / "tests" / "stages" / "spans"
Row = dict[str, Any]
Recogniser = Callable[[str, str], list[Span]]
"""From a text and its language to what it holds."""

SEED = 20240607
QUOTAS = {
    "ccda_xml": (12, 18, 3), "clinical_notes_mts": (36, 51, 18), "cmrc2018_zh": (66, 99, 0), "medquad_xml": (48, 69, 24),
    "ncbi_disease": (15, 21, 0), "pubmed_xml": (30, 42, 12), "pubmedqa": (45, 69, 15), "web_noise_c4": (30, 54, 18),
    "zh_medical_dialogue": (72, 108, 0),
}  # fmt: skip
"""Sentences of every folder in each round: two thirds of them promising, the rest any.

One round held too few dates, and two too few English ones: in the last, promising is what may be an English date.
"""
CHINESE = {"cmrc2018_zh", "zh_medical_dialogue"}
LENGTHS = {"en": (15, 350), "zh": (6, 160)}
"""Characters of a sentence, from and to; others are not drawn."""
BREAKS = {
    "en": re.compile(r"\n|(?<=[.!?])[\"'”’)\]]*\s+(?=[\"'“‘(\[]?[A-Z])"),
    "zh": re.compile(r"\n|(?<=[。！？；!?;])"),
}
PROMISING = {
    "en": re.compile(
        r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|sixty|seventy|"
        r"eighty|ninety|hundred|thousand|million|half|dozen|decades?|January|February|March|April|June|July|August|September|"
        r"October|November|December|percent)\b",
        re.IGNORECASE,
    ),
    "zh": re.compile(r"\d|[年月日二三四五六七八九十百千万亿两半〇]"),
}
"""What a promising sentence holds; \\d is also full-width."""
DATED = {
    "en": re.compile(
        r"\b(?:1[5-9]|20)\d\d\b|\d[/.-]\d{1,2}[/.-]\d|"
        r"\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\b"
    ),
    "zh": PROMISING["zh"],
}
"""The same in the last round."""


def units(root: Path, name: str) -> list[str]:
    """The texts of a file, in its order. Raises KeyError for a file of a folder that has no reader."""
    _, read = READERS[name.partition("/")[0]]
    return [re.sub(r"[ \t\r]+", " ", text) for text in read(root / name)]


def elements(*names: str) -> Callable[[Path], Iterator[str]]:
    """A reader of the innermost XML elements of these names, with line breaks as blanks."""

    def read(path: Path) -> Iterator[str]:
        parser = etree.XMLParser(
            resolve_entities=False, no_network=True, load_dtd=False, recover=True, huge_tree=False
        )
        tags = [f"{{*}}{name}" for name in names]  # of any namespace
        for element in etree.parse(str(path), parser).getroot().iter(*tags):
            # `iter` begins with the element itself, so a second one lies inside it.
            is_innermost = next(islice(element.iter(*tags), 1, None), None) is None
            if is_innermost:
                yield " ".join(re.split(r"[ \t\r\n]+", "".join(element.itertext())))

    return read


def columns(encoding: str, *names: str) -> Callable[[Path], Iterator[str]]:
    """A reader of these columns of a CSV file, row after row."""

    def read(path: Path) -> Iterator[str]:
        with path.open(encoding=encoding, newline="") as file:
            for row in csv.DictReader(file):
                yield from (row[name] for name in names)

    return read


def lines(path: Path) -> Iterator[str]:
    """Lines of a file, the JSON ones' field text; of PubTator titles and abstracts."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if path.suffix == ".jsonl":
            yield json.loads(line)["text"]
        elif match := re.match(r"\d+\|[ta]\|", line):
            yield line[match.end() :]


def articles(path: Path) -> Iterator[str]:
    """Contexts and long answer of every question of PubMedQA."""
    for article in json.loads(path.read_bytes()).values():
        yield from (*article["CONTEXTS"], article["LONG_ANSWER"])


def paragraphs(path: Path) -> Iterator[str]:
    """Contexts of a document in SQuAD's form."""
    for document in json.loads(path.read_bytes())["data"]:
        yield from (paragraph["context"] for paragraph in document["paragraphs"])


READERS: dict[str, tuple[str, Callable[[Path], Iterator[str]]]] = {
    "ccda_xml": ("*.xml", elements("paragraph", "td", "item")),
    "clinical_notes_mts": ("*.csv", columns("utf-8", "section_text", "dialogue")),
    "cmrc2018_zh": ("*.json", paragraphs),
    "medquad_xml": ("*/*.xml", elements("Answer")),
    "ncbi_disease": ("pubtator*.txt", lines),
    "pubmed_xml": ("*/*.*xml", elements("AbstractText", "p")),
    "pubmedqa": ("*.json", articles),
    "web_noise_c4": ("*.jsonl", lines),
    "zh_medical_dialogue": ("*.csv", columns("gb18030", "ask", "answer")),
}
"""Of every folder: its files that hold text, and how their texts are read."""


def sentences(root: Path, folder: str) -> Iterator[tuple[str, Row]]:
    """Every sentence of a folder that may be drawn, once, and its row without labels."""
    lang, seen = "zh" if folder in CHINESE else "en", set()
    for path in sorted((root / folder).glob(READERS[folder][0])):
        name = path.relative_to(root).as_posix()
        for number, text in enumerate(units(root, name)):
            for start, end in pieces(text, lang):
                sentence = text[start:end]
                if sentence not in seen and LENGTHS[lang][0] <= len(sentence) <= LENGTHS[lang][1]:
                    seen.add(sentence)
                    at = f"{number}:{start}-{end}"
                    yield (
                        sentence,
                        {
                            "file": name,
                            "at": at,
                            "sha256": digest(sentence),
                            "lang": lang,
                            "spans": [],
                        },
                    )


def pieces(text: str, lang: str) -> Iterator[tuple[int, int]]:
    """Where the sentences of a text start and end, without the white space around them."""
    start = 0
    for match in BREAKS[lang].finditer(text):
        yield trimmed(text, start, match.start())
        start = match.end()
    yield trimmed(text, start, len(text))


def digest(sentence: str) -> str:
    """The first 16 hexadecimal digits of a sentence's SHA-256."""
    return hashlib.sha256(sentence.encode()).hexdigest()[:16]


def draw(root: Path) -> dict[str, list[Row]]:
    """The rows of both halves, without labels: the same for the same data. What an earlier round drew is not drawn again."""
    halves: dict[str, list[Row]] = {"tuning": [], "sealed": []}
    taken: set[str] = set()
    for number, wanted in enumerate((PROMISING, PROMISING, DATED)):
        round_quotas = {folder: quotas[number] for folder, quotas in QUOTAS.items()}
        drawn = draw_round(root, round_quotas, wanted)
        for half, rows in drawn.items():
            halves[half] += [row for row in rows if row["sha256"] not in taken]
        for rows in drawn.values():
            taken.update(row["sha256"] for row in rows)
    return halves


def draw_round(
    root: Path, quotas: dict[str, int], wanted: dict[str, re.Pattern[str]]
) -> dict[str, list[Row]]:
    """One round of a draw, each language split in halves."""
    rng, drawn = random.Random(SEED), defaultdict(list)
    for folder, quota in sorted(quotas.items()):
        promising, other = [], []
        for sentence, row in sentences(root, folder):
            if wanted[row["lang"]].search(sentence):
                promising.append(row)
            else:
                other.append(row)
        chosen = rng.sample(promising, quota * 2 // 3)
        taken = {row["sha256"] for row in chosen}
        rest = [row for row in promising + other if row["sha256"] not in taken]
        chosen += rng.sample(rest, quota - len(chosen))
        drawn["zh" if folder in CHINESE else "en"] += chosen
    halves: dict[str, list[Row]] = {"tuning": [], "sealed": []}
    for lang in sorted(drawn):
        rng.shuffle(drawn[lang])
        middle = len(drawn[lang]) // 2
        halves["tuning"] += drawn[lang][:middle]
        halves["sealed"] += drawn[lang][middle:]
    return halves


def load(root: Path, half: str) -> list[tuple[str, Row]]:
    """The sentences of a half, each with its row. Raises ValueError where the data are not those that were labelled."""
    read = cache(units)
    found = []
    for line in (LABELS / f"{half}.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        number, start, end = (int(part) for part in re.split("[:-]", row["at"]))
        sentence = read(root, row["file"])[number][start:end]
        if digest(sentence) != row["sha256"]:
            raise ValueError(
                f"{row['file']} at {row['at']}: another sentence than the one labelled; fetch the data as they were"
            )
        found.append((sentence, row))
    return found


NUMBER = r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
QUANTITY = re.compile(
    rf"(?P<first>{NUMBER})(?: ?(?P<sign>[–±]) ?(?P<second>{NUMBER}))? (?P<unit>\S.*)"
)


def quantity(normal: str) -> dict[str, str] | None:
    """The parts of `5 kg`, `5–10 mg` or `120 ± 15 mmHg`, as labels name them; None for other text."""
    if not (match := QUANTITY.fullmatch(normal)):
        return None
    if match["sign"] is None:
        return {"value": match["first"], "unit": match["unit"]}
    names = ("low", "high") if match["sign"] == "–" else ("value", "plus_minus")
    return {names[0]: match["first"], names[1]: match["second"], "unit": match["unit"]}


def same_value(found: Span, label: Row) -> bool:
    """Whether a find says what its label says."""
    if found.kind == "date":
        return found.normal == label["normal"]
    says, wanted = quantity(found.normal), label["normal"]
    if says is None or says.keys() != wanted.keys():
        return False
    numbers = [name for name in wanted if name != "unit"]
    for name in numbers:
        if says["unit"] == wanted["unit"]:
            same = isclose(float(says[name]), float(wanted[name]), rel_tol=1e-9)
        else:
            same = same_amount(amount(says, name), amount(wanted, name))
        if not same:
            return False
    return True


def amount(parts: dict[str, str], name: str) -> Any:
    """One number of a quantity in base units; None for what is no unit. A tolerance is added to its value.

    A word that pint does not know becomes a unit of its own, so that IU/L is 0.001 IU/mL.
    """
    number = float(parts[name]) + (float(parts["value"]) if name == "plus_minus" else 0)
    for _ in range(4):
        try:
            return registry().Quantity(number, parts["unit"]).to_base_units()
        except pint.UndefinedUnitError as error:
            words = (
                [error.unit_names] if isinstance(error.unit_names, str) else list(error.unit_names)
            )
            if not all(re.fullmatch(r"[^\W\d]+", word) for word in words):
                return None
            for word in words:
                registry().define(f"{word} = [{word}]")
        except Exception:  # pint's parser meets strange units with errors of every kind
            return None
    return None


@cache
def registry() -> Any:
    """The score's own units: what it defines must not reach the recognisers."""
    units = pint.UnitRegistry(autoconvert_offset_to_baseunit=True)
    for definition in chinese.DEFINITIONS:
        units.define(definition)
    for definition in read_lines(chinese.DATA / "pint_definitions.txt"):
        makes_dimension = "[" in definition
        if not makes_dimension:  # a new dimension is a word that pint does not know: see `amount`
            units.define(definition)
    return units


def same_amount(one: Any, other: Any) -> bool:
    """Whether two quantities in base units are equal within 1e-9 of their size."""
    if one is None or other is None or one.units != other.units:
        return False
    return isclose(one.magnitude, other.magnitude, rel_tol=1e-9)


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """A place without the white space at its ends."""
    part = text[start:end]
    before = len(part) - len(part.lstrip())
    behind = len(part) - len(part.rstrip())
    return start + before, end - behind


def compare(
    text: str, labels: list[Row], found: list[Span]
) -> Iterator[tuple[Row | None, Span | None, bool]]:
    """Pairs of a label and the find at its place, and whether they say the same; a label or a find alone has None beside it.

    Finds that lie over an ambiguous label and at no counted one do not count.
    """
    places = {(span.kind, *trimmed(text, span.start, span.end)): span for span in found}
    for label in labels:
        span = places.pop((label["kind"], *trimmed(text, label["start"], label["end"])), None)
        if not label.get("ambiguous"):
            yield label, span, span is not None and same_value(span, label)
    unclear = [label for label in labels if label.get("ambiguous")]
    for span in places.values():
        if not any(overlap(span, label) for label in unclear):
            yield None, span, False


def overlap(span: Span, label: Row) -> bool:
    """Whether a find and a label are of one kind and share a character."""
    if span.kind != label["kind"]:
        return False
    return bool(span.start < label["end"] and label["start"] < span.end)


def score(
    rows: list[tuple[str, Row]], recognise: Recogniser, kind: str
) -> tuple[dict[str, Counter[str]], list[str]]:
    """By language: how many labels, finds, finds at a label's place and finds that are right. And every error, as a line."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    errors = []
    for text, row in rows:
        labels = [label for label in row["spans"] if label["kind"] == kind]
        finds = [span for span in recognise(text, row["lang"]) if span.kind == kind]
        count = counts[row["lang"]]
        for label, span, same in compare(text, labels, finds):
            count.update(
                labels=label is not None,
                found=span is not None,
                placed=bool(label and span),
                right=same,
            )
            if not same:
                errors.append(describe(text, row, label, span))
    return counts, errors


def describe(text: str, row: Row, label: Row | None, span: Span | None) -> str:
    """One line: where, what was wanted, what was found, and the text around it."""
    parts = [f"{row['file']} {row['at']}"]
    if label:
        parts.append(f"wanted {text[label['start'] : label['end']]!r} = {label['normal']}")
    if span:
        parts.append(f"found {text[span.start : span.end]!r} = {span.normal}")
    start = end = 0
    if label:
        start, end = label["start"], label["end"]
    elif span:
        start, end = span.start, span.end
    parts.append(f"in …{text[max(0, start - 30) : end + 30]}…")
    return "; ".join(parts)


def ratios(right: int, found: int, labels: int) -> list[str]:
    """Precision, recall and F1; a dash where there is nothing to divide by."""
    pairs = [(right, found), (right, labels), (2 * right, found + labels)]
    return [f"{part / whole:.3f}" if whole else "–" for part, whole in pairs]


def table(scores: dict[str, dict[str, Counter[str]]]) -> list[str]:
    """The Markdown table of all kinds and languages."""
    head = [
        "kind",
        "language",
        "labels",
        "found",
        "precision",
        "recall",
        "F1",
        "span precision",
        "span recall",
        "span F1",
    ]
    found = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for kind, counts in scores.items():
        for lang, count in chain(
            sorted(counts.items()), [("both", sum(counts.values(), Counter()))]
        ):
            cells = [kind, lang, str(count["labels"]), str(count["found"])]
            for right in ("right", "placed"):
                cells += ratios(count[right], count["found"], count["labels"])
            found.append(f"| {' | '.join(cells)} |")
    return found


def recognisers() -> dict[str, Recogniser]:
    """The project's own, by kind. Nothing is known about the order of day and month."""
    from stages.clean.values import (
        dates,
        quantities,
    )  # drawing and the tests of the score do without them

    return {
        "date": lambda text, lang: dates.find_dates(text, lang, None),
        "quantity": quantities.find_quantities,
    }


def main() -> None:
    """Print the drawn rows, or the scores of a half."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path)
    parser.add_argument("half", choices=["tuning", "sealed", "draw"])
    parser.add_argument("--errors", action="store_true")
    chosen = parser.parse_args()
    if chosen.errors and chosen.half != "tuning":
        parser.error(
            "--errors: the sealed half stays sealed; it is there to be counted, not read. Use the tuning half"
        )
    if chosen.half == "draw":
        for half, rows in draw(chosen.root).items():
            sys.stdout.writelines(
                f"{half}\t{json.dumps(row, ensure_ascii=False)}\n" for row in rows
            )
        return
    rows = load(chosen.root, chosen.half)
    results = {kind: score(rows, recognise, kind) for kind, recognise in recognisers().items()}
    print("\n".join(table({kind: counts for kind, (counts, _) in results.items()})))
    if chosen.errors:
        print("\n".join(["", *chain(*(errors for _, errors in results.values()))]))


if __name__ == "__main__":
    main()
