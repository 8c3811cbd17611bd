"""Sources write numbers and lines in their own way, and both ways of normalising follow them alike."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages import clean
from stages.clean.explaining import Files, explain
from stages.clean.values import columns, normalise
from stages.clean.values.numbers import NumberForm
from stages.clean.values.rewriting import Params as Text
from stages.clean.values.source_forms import SourceForm, source_forms
from stages.clean.values.unusable import Unusable
from stages.core.project.params import Run, load
from stages.core.records import record
from tests.stages.clean.test_clean import EXCLUSIONS, fact, text

PARAMS, _ = load("clean", clean.Params, Path(__file__).parents[4] / "params.yaml")
REWRITING = replace(
    PARAMS.normalise, units={"dose": "mg"}, text=Text(dates=True, units=["mg", "°C", "m"])
)
FORMS = {
    "komma": SourceForm(NumberForm(",", ".")),
    "poem": SourceForm(lines=True),
    "both": SourceForm(NumberForm(",", None), lines=True),
}


def test_forms_are_what_extract_declares() -> None:
    entries: list[dict[str, Any]] = [
        {"name": "plain"},
        {"name": "komma", "numbers": {"decimal": ",", "thousands": "."}},
        {"name": "half", "numbers": {"decimal": ","}},
        {"name": "poem", "lines": "keep"},
        {"name": "joined", "lines": "join"},
    ]
    assert source_forms(entries) == {
        "komma": SourceForm(NumberForm(",", ".")),
        "half": SourceForm(NumberForm(",", None)),
        "poem": SourceForm(lines=True),
    }


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("one  two\n three\t four ", "one two\n three four"),
        ("  one\r\ntwo\r\rthree", "one\ntwo\n\nthree"),
        ("\n\n one\n\n\ntwo \n", "one\n\n\ntwo"),
        ("def f():\n    return\u00a05\n", "def f():\n    return 5"),
        ("甲：\u200b１\n乙：２", "甲：1\n乙：2"),
        ("one two", "one two"),
        (" \n ", ""),
    ],
)
def test_lines_stay(written: str, expected: str) -> None:
    assert normalise.clean_lines(written) == expected
    assert normalise.clean_lines(expected) == expected


PIECES = st.sampled_from(
    [
        "0,005 g",
        "1.250,5 kg",
        "2.5 g",
        " ",
        "\n",
        "\r\n",
        "\t",
        "  x",
        "５",
        "98,6 °F",
        "on 5 May 2003",
        "3,5 g.",
    ]
)
CONTENTS = st.lists(PIECES, max_size=8).map("".join)


def prose(content: str, source: str, lang: str = "en") -> dict[str, Any]:
    return text(content) | {"source": source, "lang": lang}


def written(content: str, source: str, number: int, lang: str) -> dict[str, Any]:
    row = prose(content or "x", source, lang)
    return row | {"question": content, "answer": "a\nb", "id": f"{number:016x}"}


@given(
    st.lists(
        st.tuples(CONTENTS, st.sampled_from([*FORMS, "none"]), st.sampled_from(["en", "de", "zh"])),
        min_size=1,
        max_size=6,
    )
)
def test_both_ways_follow_the_form_of_a_source(parts: list[tuple[str, str, str]]) -> None:
    rows = [written(*part[:2], number, part[2]) for number, part in enumerate(parts)]
    one_by_one = [normalise.normalise_row(row, REWRITING, FORMS) for row in rows]
    frame = pl.DataFrame(rows, schema=columns.COLUMNS)
    assert columns.normalise(frame, REWRITING, (), FORMS).frame.to_dicts() == one_by_one


def test_a_text_and_a_field_are_read_in_the_form_of_their_source() -> None:
    rows = [
        written("Take 0,005 g at 98,6 °F.", "komma", 0, "de"),
        written("Take 0,005 g at 98.6 °F.", "none", 1, "en"),
        fact("drug", "dose", "1.250,5", "mg", source="komma"),
        fact("drug", "dose", "1.250,5", "mg", source="none"),
        fact("drug", "dose", "250,5", "mg", source="none"),
    ]
    frame = pl.DataFrame(rows, schema=columns.COLUMNS)
    done = columns.normalise(frame, REWRITING, (), FORMS)
    texts = done.frame["text"].to_list()
    assert texts[:3] == ["Take 5 mg at 37 °C.", "Take 0,005 g at 37 °C.", "drug: dose 1250.5 mg"]
    assert texts[3] == "drug: dose 1250.5 mg"  # both signs leave one reading
    assert done.unusable[4][0] == "bad_quantity"


def test_the_stage_reads_the_forms_of_sources(tmp_path: Path) -> None:
    rows = [
        fact("aspirin", "density", "1,4", "g/cm³", source="komma"),
        fact("water", "density", "1,4", "g/cm³", source="none"),
        prose("Roses are red,\n  violets are blue, and iron melts at 1538 degrees.", "poem"),
        prose("Copper is red,\n  cobalt is blue, and iron melts at some degrees.", "none"),
    ]
    record.write(tmp_path / "in/records.parquet", rows)
    record.write(tmp_path / "in/rejected.parquet", [], record.REJECTED)
    counts = {"units": 1, "records": 1, "rejected": 0}
    sources = [
        {"name": "komma", "numbers": {"decimal": ","}} | counts,
        {"name": "poem", "lines": "keep"} | counts,
        {"name": "none"} | counts,
    ]
    (tmp_path / "in/sources.json").write_text(json.dumps(sources))
    rules = tmp_path / "rules.yaml"
    rules.write_text("differences: {}\nrules: []\n")
    params = replace(PARAMS, filter=replace(PARAMS.filter, threshold=0.0, boilerplate=None))
    run = Run(1, 1, "avx2", "cpu")
    clean.run(
        params, run, tmp_path / "in", rules, EXCLUSIONS, tmp_path / "out", tmp_path / "m.json"
    )
    kept: dict[str, list[str]] = {row["source"]: [] for row in rows}
    for row in record.read(tmp_path / "out/records.parquet"):
        kept[row["source"]].append(row["text"])
    assert kept == {
        "komma": ["aspirin: density 1.4 g/cm³"],
        "poem": ["Roses are red,\n  violets are blue, and iron melts at 1538 degrees."],
        "none": ["Copper is red, cobalt is blue, and iron melts at some degrees."],
    }
    files = Files(tmp_path / "in", rules, EXCLUSIONS, tmp_path / "out")
    explained = explain(rows[0]["id"], params, files)
    assert explained.verdict is None
    assert explain(rows[2]["id"], params, files).steps == []
    verdict = explain(rows[1]["id"], params, files).verdict
    assert verdict
    assert (verdict.reason, verdict.setting) == ("bad_quantity", "clean.normalise.units.density")


def test_a_fact_of_an_undeclared_source_is_set_aside() -> None:
    with pytest.raises(Unusable, match="say `decimal` or `thousands` of its source"):
        normalise.normalise_row(fact("drug", "dose", "2,5", "mg", source="none"), REWRITING, FORMS)
