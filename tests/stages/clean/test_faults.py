"""Faults are found under the right reason: every planted one, and hundreds of random ones."""

import dataclasses
import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from stages import clean, extract
from stages.core.project.params import load
from stages.core.records import record

ROOT = Path(__file__).parents[3]
RAW = ROOT / "data/raw"
sys.path.insert(0, str(ROOT / "data" / "authoring"))
import build  # noqa: E402 - found on the path just set
import faults  # noqa: E402

CONSONANTS, VOWELS = "bcdfghklmnprstvz", "aeiou"


def clean_all(raw: Path, out: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """Reasons by locator, and the report, of the sources of params.yaml.

    The scanned pages have tests of their own.
    """
    for stage, module, paths in (
        ("extract", extract, [raw, out / "extract"]),
        (
            "clean",
            clean,
            [
                out / "extract",
                RAW / "rules.yaml",
                RAW / "exclusions.yaml",
                out / "clean",
                out / "clean.json",
            ],
        ),
    ):
        params, run = load(stage, module.Params, ROOT / "params.yaml")
        if stage == "extract":
            params = dataclasses.replace(
                params, sources=[source for source in params.sources if source.kind != "pages"]
            )
        module.run(params, run, *paths)
    rejected = record.read(out / "clean/rejected.parquet", record.REJECTED)
    return {row["locator"]: row["reason"] for row in rejected}, json.loads(
        (out / "clean.json").read_text()
    )


def test_every_planted_fault_is_rejected_under_its_reason(tmp_path: Path) -> None:
    reasons, report = clean_all(ROOT / "data/raw", tmp_path)
    ledger = [
        json.loads(line)
        for line in (ROOT / "data/authoring/planted.jsonl").read_text().splitlines()
    ]
    assert len(ledger) > 80
    wrong = [
        entry | {"got": reasons.get(entry["locator"])}
        for entry in ledger
        if reasons.get(entry["locator"]) != entry["reason"]
    ]
    assert not wrong
    assert {entry["reason"] for entry in ledger} == set(report["reasons"])
    # What else is rejected is the other half of a planted duplicate.
    others = set(reasons) - {entry["locator"] for entry in ledger}
    assert {reasons[locator] for locator in others} <= {"duplicate"}


def fresh_element(rng: random.Random, number: int) -> dict[str, str]:
    """An element that never was, with every attribute."""
    name = "".join(rng.choice(CONSONANTS) + rng.choice(VOWELS) for _ in range(rng.randint(3, 5)))
    melting = rng.uniform(-250, 3000)
    boiling = melting + rng.uniform(50, 2000)
    state = "solid" if melting > 25 else "liquid" if boiling > 25 else "gas"
    words = [
        "".join(rng.choice(CONSONANTS) + rng.choice(VOWELS) for _ in range(3)) for _ in range(4)
    ]
    return {
        "name": f"{name}{number}",
        "atomic number": str(rng.randint(1, 118)),
        "symbol": rng.choice("ABCDEFG") + rng.choice("abcdefg"),
        "category": rng.choice(["halogen", "noble gas", "lanthanide", "alkali metal"]),
        "state": state,
        "molar mass": f"{rng.uniform(1, 300):.4g}",
        "melting point": f"{melting:.4g}",
        "boiling point": f"{boiling:.4g}" if boiling < 1000 else f"{boiling:.0f}",
        "density": f"{rng.uniform(0.01, 22):.4g}",
        "discovery year": str(rng.randint(1650, 2015)),
        "discoverer": f"Doctor {name.capitalize()}",
        "place": "Nowhere",
        "use": " ".join(words[:2]),
        "note": f"{name.capitalize()}{number} {' '.join(words)}.",
    }


def random_faults(out: Path, seed: int, wanted: int) -> tuple[int, list[dict[str, str]]]:
    """Write the five sources about fresh elements with `wanted` random faults.

    Returns the number of good records, and the ledger of faults.
    """
    rng = random.Random(seed)
    good = build.good_rows([fresh_element(rng, number) for number in range(150)])
    kinds = [(source, name) for source, named in faults.FAULTS.items() for name in named]
    chosen = [rng.choice(kinds) for _ in range(wanted)]
    ledger, count = [], 0
    for source, rows in good.items():
        items: list[Any] = [(row, None) for row in rows]
        names = [name for where, name in chosen if where == source]
        planted: list[Any] = []
        for name in names:
            faulty = faults.plant(rng, source, name, rows)
            while (
                faulty in planted
            ):  # once more, it would rightly be a duplicate, whatever else is wrong with it
                faulty = faults.plant(rng, source, name, rows)
            assert faulty is not None
            planted.append(faulty)
            items.insert(rng.randint(len(rows), len(items)), (faulty, name))
        places = build.WRITERS[source](out, [item for item, _ in items])
        ledger += [
            {
                "locator": place,
                "fault": name,
                "source": source,
                "reason": faults.FAULTS[source][name][0],
            }
            for place, (_, name) in zip(places, items, strict=True)
            if name
        ]
        count += len(rows)
    return count, ledger


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_faults_in_fresh_records(tmp_path: Path, seed: int) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    good, ledger = random_faults(raw, seed, 500)
    reasons, report = clean_all(raw, tmp_path)
    found = [entry for entry in ledger if reasons.get(entry["locator"]) == entry["reason"]]
    faulty_units = {entry["locator"].split("@")[0] for entry in ledger}
    false = [locator for locator in reasons if locator.split("@")[0] not in faulty_units]
    missed = [
        entry | {"got": reasons.get(entry["locator"])} for entry in ledger if entry not in found
    ]
    print(
        f"seed {seed}: recall {len(found) / len(ledger):.4f} of {len(ledger)}, "
        f"false rejections {len(false)} of {good}"
    )
    assert len(found) / len(ledger) >= 0.99, missed
    assert len(false) / good <= 0.005, [(locator, reasons[locator]) for locator in false[:20]]
    assert report["read"] == report["kept"] + report["rejected"]
