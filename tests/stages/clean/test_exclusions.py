"""exclusions: what the file names is set aside first, everywhere, and without its content."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages import clean
from stages.clean import exclusions
from stages.clean.exclusions import Entry, Exclusions, find, read, redacted, subject_id
from stages.core.project.errors import ParamsError
from stages.core.project.params import Run
from stages.core.records import record
from tests.stages.clean.test_clean import EXCLUSIONS, PARAMS, fact, text

Row = dict[str, Any]
IRON, OTHER = fact("iron", "symbol", "Fe"), fact("iron", "symbol", "Fe", source="b")
GOLD = fact("gold", "symbol", "Au")
REMARK, COPY = text("Iron rusts in the rain.", "iron"), text("iron  RUSTS in the rain.", "iron", 1)
ROWS = [IRON, OTHER, GOLD, REMARK, COPY]


def listed(**kinds: list[str]) -> Exclusions:
    return Exclusions(
        **{
            kind: [Entry(name, "request 7") for name in kinds.get(kind, [])]
            for kind in exclusions.KINDS
        }
    )


@pytest.mark.parametrize(
    ("named", "gone", "evidence"),
    [
        (listed(), [], ""),
        (listed(facts=[IRON["fact"]]), [IRON, OTHER], "fact: request 7"),
        (listed(subjects=[subject_id("IRON ")]), [IRON, OTHER, REMARK, COPY], "subject: request 7"),
        (listed(records=[REMARK["id"]]), [REMARK, COPY], "record: request 7"),
        (listed(sources=["b"]), [OTHER], "source: request 7"),
        (listed(facts=["0" * 16], sources=["nobody"]), [], ""),
    ],
)
def test_what_is_named_is_found(named: Exclusions, gone: list[Row], evidence: str) -> None:
    found = find(ROWS, named)
    assert list(found) == [row["id"] for row in gone]
    if gone:
        assert found[gone[0]["id"]] == ("excluded", evidence)
    if gone == [REMARK, COPY]:
        assert found[COPY["id"]] == ("excluded", "same words as an excluded record: request 7")


def test_a_record_without_text_excludes_no_other() -> None:
    rows = [text("") | {"id": f"{number:016x}"} for number in range(2)]
    assert list(find(rows, listed(records=["0" * 16]))) == ["0" * 16]


@given(
    st.text(min_size=1),
    st.sampled_from(["subject", "value", "text", "question", "answer", "meta", "unit"]),
)
def test_a_redacted_record_says_nothing(secret: str, column: str) -> None:
    row = dict.fromkeys(record.SCHEMA.names, "") | {
        "id": "1" * 16,
        "fact": "2" * 16,
        "locator": "a#1",
        column: f"<{secret}>",
    }
    row |= {"phase": "extract", "reason": "bad", "evidence": f"<{secret}>"}
    kept = redacted(row, {"1" * 16: ("excluded", "fact: why")})
    assert f"<{secret}>" not in kept.values()
    assert (kept["id"], kept["fact"], kept["locator"]) == ("1" * 16, "2" * 16, "a#1")
    assert (kept["phase"], kept["reason"], kept["evidence"]) == ("extract", "excluded", "fact: why")
    assert redacted(row, {}) == row


def run(
    tmp_path: Path, rows: list[Row], before: list[Row], document: str
) -> tuple[list[Row], list[Row], Row]:
    record.write(tmp_path / "in/records.parquet", rows)
    record.write(tmp_path / "in/rejected.parquet", before, record.REJECTED)
    sources = [{"name": name, "units": 9, "records": 0, "rejected": 0} for name in ("a", "b", "t")]
    (tmp_path / "in/sources.json").write_text(json.dumps(sources))
    rules, file = tmp_path / "rules.yaml", tmp_path / "exclusions.yaml"
    rules.write_text("differences: {}\nrules: []\n")
    file.write_text(document)
    clean.run(
        PARAMS,
        Run(1, 1, "avx2", "cpu"),
        tmp_path / "in",
        rules,
        file,
        tmp_path / "out",
        tmp_path / "clean.json",
    )
    rejected = record.read(tmp_path / "out/rejected.parquet", record.REJECTED)
    return (
        record.read(tmp_path / "out/records.parquet"),
        rejected,
        json.loads((tmp_path / "clean.json").read_text()),
    )


def test_clean_accounts_for_what_is_excluded_without_its_content(tmp_path: Path) -> None:
    lost = fact("iron", "symbol", "Fr", source="b")
    before = [
        OTHER
        | {
            "locator": "b#9",
            "id": "9" * 16,
            "phase": "extract",
            "reason": "bad_unit",
            "evidence": "Fe is no unit",
        }
    ]
    document = f"facts: [{{id: {IRON['fact']}, reason: request 7}}]\nsubjects: []\nrecords: []\nsources: []\n"
    kept, rejected, report = run(tmp_path, [IRON, GOLD, lost], before, document)
    assert [row["id"] for row in kept] == [GOLD["id"]]
    assert [(row["id"], row["phase"], row["reason"], row["evidence"]) for row in rejected] == [
        ("9" * 16, "extract", "excluded", "fact: request 7"),
        (IRON["id"], "exclude", "excluded", "fact: request 7"),
        (lost["id"], "exclude", "excluded", "fact: request 7"),
    ]
    assert {(row["text"], row["subject"], row["value"], row["meta"]) for row in rejected} == {
        ("[excluded]", None, None, "{}")
    }
    assert report["phases"]["exclude"] == {"in": 3, "out": 1, "rejected": 2}
    assert (report["read"], report["kept"], report["rejected"], report["reasons"]) == (
        4,
        1,
        3,
        {"excluded": 3},
    )
    assert (tmp_path / "out/contradictions.json").read_text() == "[]\n"
    assert all(b"Fr" not in path.read_bytes() for path in (tmp_path / "out").glob("*.json"))


def test_an_empty_file_leaves_no_trace(tmp_path: Path) -> None:
    kept, rejected, report = run(tmp_path, [IRON, GOLD], [], EXCLUSIONS.read_text())
    assert (len(kept), rejected, list(report["phases"])) == (
        2,
        [],
        ["extract", "normalise", "filter", "verify"],
    )


def test_every_fault_of_the_file_is_reported_at_once(tmp_path: Path) -> None:
    file = tmp_path / "exclusions.yaml"
    file.write_text(
        "facts: [{id: iron, reason: ' '}]\nsubjects: []\nrecords: []\nsources: [{id: b, reason: ok}]\n"
    )
    with pytest.raises(
        ParamsError,
        match=r"exclusions\.facts\.0\.id: not an id of 16 hex digits; lore forget finds it",
    ) as found:
        read(file)
    assert "exclusions.facts.0.reason: empty; say why in a few words that name nobody" in str(
        found.value
    )
    file.write_text("fact: []\nsubjects: []\nrecords: []\nsources: []\n")
    with pytest.raises(ParamsError, match=r"exclusions\.fact: unknown; did you mean facts\?"):
        read(file)
