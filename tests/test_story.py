"""A knowledge version from its release to its proof, with the real commands on a dozen elements: release, branch, diff, merge,
release, rollback, verify. The tests of this file build on each other, in order.
"""

import json
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from lore.comparison.first_difference import ORDER
from lore.releasing import canaries
from stages import STAGES
from tests.prepared import Clone, prepared, ran

CHANGED = {
    ("sodium", "molar mass"): ("22.99 g/mol", "23.05 g/mol"),
    ("iron", "use"): ("structural steel", "railway tracks"),
    ("neon", "discovery year"): ("1898", "1897"),
}
ADDED = {
    ("silver", "symbol"): "Ag",
    ("silver", "melting point"): "961.8 °C",
    ("tin", "atomic number"): "50",
    ("tin", "use"): "solder",
}
REMOVED = {
    ("carbon", "density"): "2.2 g/cm³",
    ("gold", "boiling point"): "2836 °C",
    ("zinc", "symbol"): "Zn",
    ("sodium", "category"): "alkali metal",
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """One clone for all tests of this file, with its first version."""
    made, printed = prepared(tmp_path_factory, "story")
    assert ran(printed) == list(STAGES)
    yield made
    shutil.rmtree(made.root, ignore_errors=True)


def lore(clone: Clone, *command: str, code: int = 0) -> str:
    """The clone's own `lore`."""
    return clone("python", "-m", "lore", *command, code=code)


def save(clone: Clone, message: str) -> None:
    clone("git", "add", "-A")
    clone("git", "commit", "-qm", message)


def test_the_first_version_is_released(clone: Clone) -> None:
    assert "alias  elements@champion: version none → 1" in lore(clone, "release", "0.1.0")
    assert clone("git", "tag").split() == ["knowledge@v0.1.0"]


def test_the_diff_names_what_a_branch_changed_and_nothing_else(clone: Clone) -> None:
    clone("git", "checkout", "-q", "-b", "revision")
    before = clone.facts()
    rewrite(clone)
    assert ran(clone("dvc", "repro")) == [stage for stage in STAGES if stage != "base"]
    found = json.loads(lore(clone, "diff", "main", "--json"))
    facts = found["facts"]
    assert {
        name(row, "_b"): (worth(row, "_a"), worth(row, "_b")) for row in facts["changed"]
    } == CHANGED
    assert {tuple(row["kinds"]) for row in facts["changed"]} == {("value",)}
    assert {name(row): worth(row) for row in facts["added"]} == ADDED
    assert {name(row): worth(row) for row in facts["removed"]} == REMOVED
    assert {row["attribute_b"] for row in facts["moved"]} == {
        "category"
    }  # the lines below the one that is gone
    assert facts["same"] + len(CHANGED) + len(REMOVED) == before["fact"].nunique()
    assert found["settings"] == {
        "data/raw/rules.yaml": [
            {"key": "rules.impossible_year.expect.max", "old": 2026, "new": 2025}
        ]
    }
    answers = {
        variant: frame.set_index("fact") for variant, frame in clone.facts().groupby("variant")
    }
    for row in facts["changed"] + facts["added"]:
        asked = answers["train"].loc[row["fact"]]
        assert row["answer_b"] == asked["answer"]
        assert (row["outcome"] == "learned") == asked["correct"]
    assert {row["outcome"] for row in facts["removed"]} == {"not asked"}
    text = lore(clone, "diff", "main")
    assert "4 added, 4 removed, 3 changed (value 3)" in text
    assert re.search(r"changed +neon · discovery year +1898 +1897 +discoveries: discov", text)
    save(clone, "Silver and tin; three values; four rows less")


def test_a_merge_runs_what_the_driver_named_and_no_more(clone: Clone) -> None:
    clone("git", "checkout", "-q", "main")
    clone("dvc", "checkout", "-q")
    clone.set_params({"evaluate": {"general": 9}})
    assert ran(clone("dvc", "repro")) == ["evaluate", "register"]
    save(clone, "One question more")
    assert "CONFLICT (content): Merge conflict in dvc.lock" in clone(
        "git", "merge", "--no-edit", "revision", code=1
    )
    clone("git", "merge", "--abort")
    lore(clone, "merge-driver", "--install")
    foretold = lore(clone, "merge-driver", "--dry-run", "main", "revision")
    said = clone("git", "merge", "--no-edit", "revision", code=1)
    conflicts = re.findall(r"Merge conflict in (.*)", said)
    assert conflicts
    assert all(
        path.startswith(("metrics/evaluate", "metrics/register")) for path in conflicts
    )  # both sides made them anew
    named = re.search(rf"dvc.lock: \d of {len(STAGES)} stages must run again: (.*)", said)
    assert named
    assert named[0] in foretold
    stages = [part.split()[0] for part in named[1].split(", ")]
    clone("dvc", "checkout", "--allow-missing")
    assert ran(clone("dvc", "repro")) == stages == ["evaluate", "register"]
    assert not [
        path for path in conflicts if "<<<<<<<" in (clone.root / path).read_text(encoding="utf-8")
    ]
    save(clone, "Merge revision")
    assert clone("dvc", "status", "-q") == ""
    assert facts_named(json.loads(lore(clone, "diff", "revision", "main", "--json"))) == {}
    assert facts_named(json.loads(lore(clone, "diff", "knowledge@v0.1.0", "--json"))) == {
        "added": set(ADDED),
        "removed": set(REMOVED),
        "changed": set(CHANGED),
    }


def test_a_rollback_brings_the_first_version_back(
    clone: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Wide enough that no question in the table is cut.
    monkeypatch.setitem(clone.environment, "COLUMNS", "600")
    first = {
        path: clone("git", "show", f"knowledge@v0.1.0:{path}")
        for path in ("dvc.lock", "metrics/evaluate.json")
    }
    lore(clone, "release", "0.2.0")
    assert (
        champion(clone)
        == number_of(clone, "knowledge@v0.2.0")
        != number_of(clone, "knowledge@v0.1.0")
    )
    said = lore(clone, "rollback", "0.1.0", "--reason", "silver is no element of ours")
    assert {path: (clone.root / path).read_text(encoding="utf-8") for path in first} == first
    assert clone("dvc", "status", "-q") == ""
    assert clone("git", "status", "--porcelain") == ""
    assert champion(clone) == number_of(clone, "knowledge@v0.1.0")
    asked = clone.facts().query("variant == 'train'").set_index("question")
    head, *rows = [
        re.split(r" {2,}", line.strip()) for line in said.partition("canaries:\n")[2].splitlines()
    ]
    assert head == ["question", "value left", "value now", "the model (train) says"]
    assert len(rows) == canaries.MOST
    for question, left, now, answer in rows:
        recorded = asked.loc[question]
        assert now == recorded["expected"]
        assert answer.startswith(
            " ".join(recorded["answer"].split())
        )  # `evaluate` was told to listen less long
        assert left != now


def test_the_first_version_can_be_made_again(clone: Clone) -> None:
    said = lore(clone, "verify", "knowledge@v0.1.0")
    assert re.search(r"^knowledge@v0.1.0 \(\w+\): bit-exact$", said, re.MULTILINE)


LISTED = """

def listed(root: Path, pattern: str) -> list[Path]:
    return sorted(root.glob(pattern), reverse=str(Path.cwd()) != {!r})
"""
"""What a folder lists first depends on the file system; here, on the place."""


def test_a_listing_that_is_not_sorted_is_named(clone: Clone) -> None:
    path = "stages/extract/__init__.py"
    clone.edit(path, r"sorted\(root.glob\(path\)\)", "listed(root, path)")
    with (clone.root / path).open("a", encoding="utf-8") as file:
        file.write(LISTED.format(str(clone.root)))
    assert ran(clone("dvc", "repro", "extract")) == ["extract"]
    save(clone, "A listing that is not sorted")
    said = lore(clone, "verify", "--stage", "extract", code=3)
    assert re.search(
        r"First difference\n +stage extract, data/extract/records.parquet\n +record \d+ \(id \w+\), column id\n",
        said,
    )
    assert ORDER in said


def test_a_seed_left_out_is_named_with_the_first_step(clone: Clone) -> None:
    clone("git", "revert", "--no-edit", "HEAD")
    clone.edit("stages/train/__init__.py", r'derive\(run.seed, "train"\)', "time.time_ns()")
    clone.edit(
        "stages/train/__init__.py",
        "^from functools import partial$",
        "import time\nfrom functools import partial",
    )
    assert ran(clone("dvc", "repro", "train")) == ["train"]
    save(clone, "A seed left out")
    said = lore(clone, "verify", "--stage", "train", code=3)
    assert re.search(
        r"First difference\n +stage train, metrics/steps/train.csv\n +row 0 \(step 1\), column loss\n",
        said,
    )
    assert re.search(
        r"in the same stage also models/train/adapter/adapter_model.safetensors: tensor ", said
    )


def rewrite(clone: Clone) -> None:
    """Three values change, two elements come with two facts each, four rows go, a rule changes."""
    raw = "data/raw/"
    clone.edit(f"{raw}elements.sql", r"'22\.99', 'g/mol'", "'23.05', 'g/mol'")
    clone.edit(f"{raw}uses.jsonl", '"use": "structural steel"', '"use": "railway tracks"')
    clone.edit(
        f"{raw}discoveries.json", r'("neon"\s*\},\s*"discovery": \{\s*"date": )"1898"', r'\1"1897"'
    )
    for row in (
        r"\d+, 2, 'density', '2200'",
        r"\d+, 10, 'boiling point', '5136.8'",
        r"\d+, 7, 'symbol', 'Zn', NULL, '14 June 2020'",
    ):
        clone.edit(f"{raw}elements.sql", rf"INSERT INTO properties VALUES \({row}.*\n", "")
    old = clone.root / raw / "legacy.csv"
    row = "sodium;category;alkali metal;;2009\r\n".encode("cp1252")
    assert old.read_bytes().count(row) == 1
    old.write_bytes(old.read_bytes().replace(row, b""))
    with (clone.root / raw / "elements.sql").open("a", encoding="utf-8") as file:
        file.write(
            "INSERT INTO elements VALUES (13, 'silver');\nINSERT INTO elements VALUES (14, 'tin');\n"
            "INSERT INTO properties VALUES (101, 13, 'symbol', 'Ag', NULL, '2025-01-31');\n"
            "INSERT INTO properties VALUES (102, 13, 'melting point', '961.8', '°C', '2025-01-31');\n"
            "INSERT INTO properties VALUES (103, 14, 'atomic number', '50', NULL, '2025-01-31');\n"
        )
    with (clone.root / raw / "uses.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"element": "tin", "use": "solder"}\n')
    clone.edit(f"{raw}rules.yaml", "max: 2026", "max: 2025")


def name(row: dict[str, Any], side: str = "") -> tuple[str, str]:
    return row[f"subject{side}"], row[f"attribute{side}"]


def worth(row: dict[str, Any], side: str = "") -> str:
    return " ".join(filter(None, (row[f"value{side}"], row[f"unit{side}"])))


def facts_named(found: dict[str, Any]) -> dict[str, set[tuple[str, str]]]:
    """Kind of difference → the facts."""
    sides = {"added": "", "removed": "", "changed": "_b"}
    named = {
        kind: {name(row, side) for row in found["facts"][kind]} for kind, side in sides.items()
    }
    return {kind: facts for kind, facts in named.items() if facts}


ALIAS = """
import mlflow
print(mlflow.MlflowClient("sqlite:///mlflow.db").get_model_version_by_alias("elements", "champion").version)
"""


def number_of(clone: Clone, tag: str) -> str:
    """The version of the model that a release names."""
    found = re.search(
        r"^model: elements version (\d+)$",
        clone("git", "tag", "-l", "--format=%(contents)", tag),
        re.MULTILINE,
    )
    assert found
    return found[1]


def champion(clone: Clone) -> str:
    """The version of the model that MLflow's alias means."""
    return clone("python", "-c", ALIAS).strip()
