"""How much personal data is found, how much is removed that is none, what leaks, and how fast is it?

    PYTHONPATH=. python docs/experiments/personal.py <folder that holds pii_sentences, synthea_ehr, zh_medical_dialogue>

pii_sentences is halved by a hash of the template that a text was made from, before the recognisers were written: they
were tuned on the one half, the other was never looked at. Recall: labelled spans that a found span of that kind overlaps;
removed: of which every letter and digit lies in found spans of any kind; exact: same start and end. Precision: found
spans that overlap a labelled one of any type. Line breaks are blanks, as they are after normalising.

synthea_ehr: each patient's row is written as a form and as prose; a value leaks if it stands in the treated text.
"""

import csv
import hashlib
import io
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from stages.clean.personal import KINDS, Params, find_personal, treated
from stages.core.records.record import to_meta

TYPES = {
    "PERSON": "person", "STREET_ADDRESS": "address", "PHONE_NUMBER": "phone", "EMAIL_ADDRESS": "email", "DOMAIN_NAME": "url",
    "CREDIT_CARD": "card", "US_SSN": "ssn", "ZIP_CODE": "postcode",
}  # fmt: skip
"""Labels, and the kind that should find them. The other labels are not sought."""
POSTAL = {"ZIP_CODE": "address"}
"""A postcode may stand in its address."""
DECLARED = {
    "FIRST": "person", "LAST": "person", "MAIDEN": "person", "SSN": "ssn", "DRIVERS": "id", "PASSPORT": "passport",
    "ADDRESS": "address",
}  # fmt: skip
PROSE = (
    "{PREFIX} {FIRST} {LAST} of {ADDRESS}, {CITY}, {STATE} {ZIP}, SSN {SSN}, came in with a cough. {FIRST} showed "
    "passport {PASSPORT} and driver's license {DRIVERS}. {LAST} was discharged the same day."
)


def tuning(row: dict[str, Any]) -> bool:
    """Whether a text belongs to the half that recognisers were tuned on."""
    return hashlib.sha256(str(row["template_id"]).encode()).digest()[0] % 2 == 0


def sentences(rows: list[dict[str, Any]], half: str) -> None:
    """Print recall and precision per type of one half."""
    counts: Counter[tuple[str, str]] = Counter()
    clean = [row for row in rows if not row["spans"]]
    for row in rows:
        text = row["full_text"].replace("\n", " ")
        found = find_personal(text, "en")
        labels = [
            (span["start_position"], span["end_position"], span["entity_type"])
            for span in row["spans"]
        ]
        hidden = {place for span in found for place in range(span.start, span.end)}
        for start, end, label in labels:
            over = [span for span in found if span.start < end and start < span.end]
            counts[label, "labelled"] += 1
            counts[label, "recall"] += any(
                span.kind in (TYPES.get(label), POSTAL.get(label)) for span in over
            )
            counts[label, "removed"] += all(
                place in hidden for place in range(start, end) if text[place].isalnum()
            )
            counts[label, "exact"] += any((span.start, span.end) == (start, end) for span in over)
        for span in found:
            counts[span.kind, "found"] += 1
            counts[span.kind, "right"] += any(
                span.start < end and start < span.end for start, end, _ in labels
            )
    for label in (*TYPES, *sorted({name for name, _ in counts} - set(TYPES) - set(KINDS))):
        labelled, kind = counts[label, "labelled"], TYPES.get(label, "")
        shares = [
            f"{counts[label, what] / labelled:.2f}" if labelled else ""
            for what in ("recall", "removed", "exact")
        ]
        right, found_ = counts[kind, "right"], counts[kind, "found"]
        print(
            f"| {half} | {label} | {labelled} | {' | '.join(shares)} | {f'{right} of {found_}' if kind else ''} |"
        )
    touched = sum(bool(find_personal(row["full_text"], "en")) for row in clean)
    print(f"| {half} | no label | {len(clean)} texts | {touched} touched | | | |")


def leaks(patients: list[dict[str, str]]) -> None:
    """Print which values of the patients' rows survive."""
    actions: Any = dict.fromkeys(KINDS, "replace")
    for name, fields in (("no", {}), ("yes", DECLARED)):
        for shape in ("form", "prose"):
            left: Counter[str] = Counter()
            for patient in patients:
                values = {column: value for column, value in patient.items() if value}
                form = "; ".join(f"{column}: {value}" for column, value in values.items())
                text = form if shape == "form" else " ".join(PROSE.format(**patient).split())
                row = {
                    "text": text,
                    "lang": "en",
                    "source": "patients",
                    "fact": None,
                    "meta": to_meta(values if fields else {}),
                }
                new, _ = treated(row, Params(actions=actions, fields=fields), b"")  # type: ignore[arg-type]
                for column in DECLARED:
                    if patient[column] and patient[column] in text:
                        left[column] += patient[column] in new["text"]
                        left[f"{column} of"] += 1
            cells = (f"{left[column]} of {left[f'{column} of']}" for column in DECLARED)
            print(f"| {shape} | {name} | {' | '.join(cells)} |")


def speed(name: str, lang: str, texts: list[str]) -> None:
    """Print texts a second, the best of three turns, and how many texts are touched."""
    best, touched = 0.0, 0
    for _ in range(3):
        started = time.perf_counter()
        touched = sum(bool(find_personal(text, lang)) for text in texts)
        best = max(best, len(texts) / (time.perf_counter() - started))
    print(
        f"| {name} | {len(texts):,} | {sum(map(len, texts)) / len(texts):.0f} | {touched} | {best:,.0f} |"
    )


def head(columns: str) -> None:
    """Print the head of a table."""
    print(f"\n{columns}\n{'|---' * (columns.count('|') - 1)}|")


def main(folder: Path) -> None:
    """Measure all."""
    rows = [
        json.loads(line)
        for line in (folder / "pii_sentences/pii.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    halves = {
        "tuned": [row for row in rows if tuning(row)],
        "sealed": [row for row in rows if not tuning(row)],
    }
    for half, part in halves.items():
        head("| half | label | labelled | recall | removed | exact | precision of its kind |")
        sentences(part, half)
    patients = list(
        csv.DictReader((folder / "synthea_ehr/csv/patients.csv").open(encoding="utf-8"))
    )
    head(f"| text | declared | {' | '.join(DECLARED)} |")
    leaks(patients)
    dialogue = (
        (folder / "zh_medical_dialogue/internal_medicine_gbk.csv").read_bytes().decode("gb18030")
    )
    chinese = [
        f"{row['title']} {row['ask']} {row['answer']}"
        for row in csv.DictReader(io.StringIO(dialogue, newline=""))
    ]
    head("| texts | number | characters each | touched | texts/s |")
    speed("pii_sentences", "en", [row["full_text"] for row in rows])
    speed(
        "pii_sentences without a label",
        "en",
        [row["full_text"] for row in rows if not row["spans"]],
    )
    speed("zh_medical_dialogue", "zh", chinese)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
