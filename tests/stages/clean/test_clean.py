"""clean: scores and rules do what they say, every phase counts, and every reason has a case."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages import clean
from stages.clean import terms
from stages.clean.filters import information
from stages.clean.passes import corpus
from stages.clean.values import normalise
from stages.clean.verifying import contradictions, rules
from stages.core.project.errors import InputError, ParamsError, ResourceError
from stages.core.project.params import Run, load
from stages.core.records import record

ROOT = Path(__file__).parents[3]
PARAMS, _ = load("clean", clean.Params, ROOT / "params.yaml")
RULES, EXCLUSIONS = ROOT / "data/raw/rules.yaml", ROOT / "data/raw/exclusions.yaml"


def fact(
    subject: str,
    attribute: str,
    value: str,
    unit: str | None = None,
    source: str = "a",
    **meta: str,
) -> dict[str, Any]:
    locator = f"{source}#{subject}/{attribute}/{value}/{meta}"
    return {
        "id": record.record_id(source, locator),
        "source": source,
        "locator": locator,
        "kind": "fact",
        "lang": "en",
        "subject": subject,
        "attribute": attribute,
        "value": value,
        "unit": unit,
        "fact": record.fact_id(subject, attribute),
        "text": record.fact_text(subject, attribute, value, unit),
        "meta": record.to_meta(meta),
        "parents": [],
        "question": None,
        "answer": None,
        "split": None,
    }


def text(content: str, subject: str | None = None, number: int = 0) -> dict[str, Any]:
    digest = record.record_id("t", content)  # long texts often begin alike
    locator = f"t#{subject}/{content[:20]}/{digest}/{number}"
    row = dict.fromkeys(record.SCHEMA.names) | {
        "text": content,
        "subject": subject,
        "kind": "statement",
        "lang": "en",
    }
    return row | {
        "id": record.record_id("t", locator),
        "source": "t",
        "locator": locator,
        "meta": "{}",
        "parents": [],
    }


def run(
    tmp_path: Path, rows: list[dict[str, Any]], params: clean.Params = PARAMS
) -> tuple[list[Any], dict[str, str], Any]:
    record.write(tmp_path / "in/records.parquet", rows)
    record.write(tmp_path / "in/rejected.parquet", [], record.REJECTED)
    names = dict.fromkeys(row["source"] for row in rows)
    sources = [
        {
            "name": name,
            "units": 1,
            "records": sum(row["source"] == name for row in rows),
            "rejected": 0,
        }
        for name in names
    ]
    (tmp_path / "in/sources.json").write_text(json.dumps(sources))
    clean.run(
        params,
        Run(1, 1, "avx2", "cpu"),
        tmp_path / "in",
        RULES,
        EXCLUSIONS,
        tmp_path / "out",
        tmp_path / "clean.json",
    )
    rejected = record.read(tmp_path / "out/rejected.parquet", record.REJECTED)
    report = json.loads((tmp_path / "clean.json").read_text())
    return (
        record.read(tmp_path / "out/records.parquet"),
        {row["locator"]: row["reason"] for row in rejected},
        report,
    )


NEON = {
    "temperature": "293.15 K",
    "pressure": "1 atm",
    "melting_point": "24.55 K",
    "boiling_point": "27.05 K",
}
"""Fields that the rules name."""


def test_subjects_are_spelt_as_the_best_source_spells_them(tmp_path: Path) -> None:
    rows = [
        fact("neon", "state", "gas", **NEON),
        fact("iron", "symbol", "Fe"),
        fact("IRON", "density", "7.874", "g/cm³"),
        text("Rusts in wet air.", "Ｉron"),
    ]
    kept, reasons, _ = run(tmp_path, rows)
    assert [row["subject"] for row in kept[1:]] == ["iron"] * 3
    assert [row["text"] for row in kept[1:]] == [
        "iron: symbol Fe",
        "iron: density 7.874 g/cm³",
        "Rusts in wet air.",
    ]
    assert not reasons


@pytest.mark.parametrize("keep", [False, True])
def test_a_date_that_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], keep: bool
) -> None:
    rows = [
        fact("neon", "state", "gas", **NEON),
        fact("iron", "symbol", "Fe", checked="1583020800000", reviewed="20190307111514-0500"),
        fact("gold", "symbol", "Au", checked="7/3/2019 10:30"),
        fact("tin", "symbol", "Sn", checked=""),
    ]
    params = PARAMS
    if keep:
        reading = dataclasses.replace(PARAMS.normalise, unreadable_dates="keep")
        params = dataclasses.replace(PARAMS, normalise=reading)
    kept, reasons, report = run(tmp_path, rows, params)
    meta = {row["subject"]: json.loads(row["meta"]) for row in kept}
    assert meta["gold"] == {"checked": "2019-03-07"}
    assert report["read"] == report["kept"] + report["rejected"]
    said = capsys.readouterr().out
    if keep:
        assert meta["iron"] == {"checked": "1583020800000", "reviewed": "2019-03-07"}
        assert not reasons
        assert report["unreadable_dates"] == {"checked": 1}
        assert "unreadable dates kept as written: checked 1\n" in said
    else:
        assert "iron" not in meta
        assert list(reasons.values()) == ["bad_date"]
        assert "unreadable_dates" not in report


@given(st.text(max_size=60))
def test_clean_text_is_idempotent(content: str) -> None:
    once = normalise.clean_text(content)
    assert normalise.clean_text(once) == once
    assert "  " not in once


def test_clean_text_keeps_what_means_something() -> None:
    assert normalise.clean_text("7.87\u00a0g/cm³\u200b") == "7.87 g/cm³"
    assert normalise.clean_text("密度：７．８７") == "密度：7.87"


def test_unknown_unit_in_params_is_refused() -> None:
    params = dataclasses.replace(PARAMS.normalise, units={"a": "parsec/fortnightt"})
    with pytest.raises(
        ParamsError, match=r"clean.normalise.units.a: unknown unit 'parsec/fortnightt'"
    ):
        normalise.check_units(params)


NOTES = [
    ("iron", "Iron rusts in moist air."),
    ("gold", "Gold leaf is thinner than paper."),
    ("neon", "Neon lamps glow orange."),
    ("tin", "Tin whistles are cheap."),
]
LEGAL = "All rights reserved, see the terms."


def scored(texts: list[tuple[str, str]], common: float) -> list[float]:
    """The scores of (subject, text)."""
    words = terms.words(terms.fold(pl.Series([content for _, content in texts])))
    counts = information.frequencies(words, pl.Series([subject for subject, _ in texts]))
    return list(information.scores(words, counts.weights(common)))


@given(
    st.lists(
        st.lists(
            st.tuples(
                st.sampled_from([None, "iron", "lead"]), st.sampled_from(["a", "a b", "b c c"])
            ),
            min_size=1,
        )
    )
)
def test_counting_batch_by_batch_is_counting_all(
    batches: list[list[tuple[str | None, str]]],
) -> None:
    def counted(texts: list[tuple[str | None, str]]) -> information.Frequencies:
        words = terms.words(pl.Series([content for _, content in texts], dtype=pl.String))
        return information.frequencies(
            words, pl.Series([subject for subject, _ in texts], dtype=pl.String)
        )

    parts = information.Frequencies()
    for batch in batches:
        parts.add(counted(batch))
    whole = counted([text for batch in batches for text in batch])
    assert parts.weights(0.5).sort("word").equals(whole.weights(0.5).sort("word"))


def test_boilerplate_scores_low_and_knowledge_high() -> None:
    texts = NOTES + [(subject, LEGAL) for subject, _ in NOTES]
    scores = scored(texts, 0.03)
    assert min(scores[:4]) > 0.5
    assert max(scores[4:]) < 0.05


def test_chinese_boilerplate_scores_low() -> None:
    texts = [(f"s{i}", "版权所有，未经许可不得转载。") for i in range(4)] + [
        ("铁", "铁在潮湿的空气中会生锈。")
    ]
    scores = scored(texts, 0.03)
    assert max(scores[:4]) < 0.05
    assert scores[4] > 0.5


def test_a_note_repeated_for_its_own_subject_is_no_boilerplate() -> None:
    scores = scored([("iron", "Iron rusts in moist air.")] * 6, 0.03)
    assert min(scores) == 1.0


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.text("xyz ", min_size=1)), min_size=1, max_size=20
    ),
    st.integers(2, 5),
)
def test_score_lies_in_0_1_and_length_does_not_matter(
    texts: list[tuple[str, str]], times: int
) -> None:
    scores = scored(texts, 0.1)
    assert all(0 <= score <= 1 for score in scores)
    longer = [(subject, " ".join([content] * times)) for subject, content in texts]
    assert scored(longer, 0.1) == pytest.approx(scores, abs=1e-6)


def test_every_phase_counts(tmp_path: Path) -> None:
    rows = [
        fact("iron", "melting point", "1811.15", "K"),
        fact("iron", "melting point", "2800.4", "°F", source="b"),  # agrees
        fact("iron", "melting point", "1600", "°C", source="c"),  # contradicts
        fact("iron", "melting point", "x", "°C"),
        fact("iron", "density", "7.9", "furlong"),
        fact("gold", "melting point", "-500", "°C"),
        fact("gold", "symbol", "Au"),
        fact("gold", "symbol", "Au", note="again") | {"meta": "{}"},
        fact("water", "state", "liquid", temperature="120 °C", pressure="1 atm"),
        fact("neon", "state", "gas", **NEON),
        *[text(content, subject) for subject, content in NOTES],
        *[text(LEGAL, subject) for subject, _ in NOTES],
        text(NOTES[0][1], "iron", 1),
    ]
    kept, _, report = run(tmp_path, rows)
    assert report["read"] == report["kept"] + report["rejected"] == len(rows)
    assert report["reasons"] == {
        "bad_quantity": 1,
        "contradiction": 1,
        "duplicate": 2,
        "impossible_temperature": 1,
        "low_information": 4,
        "state_contradicts_conditions": 1,
        "unknown_unit": 1,
    }
    assert {name: (part["in"], part["out"]) for name, part in report["phases"].items()} == {
        "extract": (19, 19),
        "normalise": (19, 17),
        "filter": (17, 11),
        "verify": (11, 8),
    }
    assert [row["value"] for row in kept if row["attribute"] == "melting point"] == ["1538", "1538"]
    assert kept[0]["text"] == "iron: melting point 1538 °C"
    assert sum(part["kept"] for part in report["sources"].values()) == report["kept"]
    dispute = json.loads((tmp_path / "out/contradictions.json").read_text())[0]
    assert dispute["winner"]["written"] == "1811.15 K"
    assert dispute["winner"]["normalised"] == "1538 °C"
    assert dispute["loser"]["written"] == "1600 °C"
    violations = json.loads((tmp_path / "out/violations.json").read_text())
    assert {entry["rule"] for entry in violations} == {
        "impossible_temperature",
        "state_contradicts_conditions",
    }
    assert all(entry["record"] in {row["id"] for row in rows} for entry in violations)


def test_equal_input_gives_equal_bytes(tmp_path: Path, folder_bytes: Any) -> None:
    rows = [
        fact("iron", "density", "7874", "kg/m³"),
        fact("neon", "state", "gas", **NEON),
        *[text(c, s) for s, c in NOTES],
    ]
    for name in "ab":
        run(tmp_path / name, rows)
    assert folder_bytes(tmp_path / "a/out") == folder_bytes(tmp_path / "b/out")


def test_no_record_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no record, because extract set all units aside"):
        run(tmp_path, [])


def test_nothing_kept_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match=r"not one of 1 records of .* was kept \(unknown_state 1\); check the clean section",
    ):
        run(tmp_path, [fact("neon", "state", "soild", **NEON)])


def test_contradictions_within_a_source_and_of_words() -> None:
    rows = [
        fact("tin", "symbol", "Sn"),
        fact("tin", "symbol", "Ti"),
        fact("tin", "use", "cans"),
        fact("tin", "use", "toys"),
    ]
    params = contradictions.Params({}, ["symbol"], "report")
    reasons, report = contradictions.find(rows, {row["id"]: row for row in rows}, params)
    assert list(reasons) == [rows[1]["id"]]
    assert report[0]["rule"] == "first in the source"


RULE = "- {name: r, when: {attribute: symbol}, expect: {column: value, EXPECT}, message: m}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("rules: []", "rules.differences: missing"),
        (
            "differences: {}\nrules: [{name: r, wen: {}, expect: {column: value, min: 1}, message: m}]",
            r"rules.rules.0.wen: unknown; did you mean when\?",
        ),
        ("differences: {x: [a]}\nrules: []", "differences.x: two columns are needed"),
        (
            f"differences: {{}}\nrules:\n{RULE.replace('EXPECT', 'min: 1, matches: x')}",
            r"rules.0.expect \(r\): write one of .*; got matches, min/max",
        ),
        (
            f"differences: {{}}\nrules:\n{RULE.replace(', EXPECT', '')}",
            r"rules.0.expect \(r\): write one of .*; got none",
        ),
    ],
)  # fmt: skip
def test_rules_file_errors(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "rules.yaml").write_text(content)
    with pytest.raises(ParamsError, match=message):
        rules.read_rules(tmp_path / "rules.yaml")


def judged(
    tmp_path: Path, rule: str, rows: list[dict[str, Any]]
) -> tuple[list[str], list[dict[str, Any]]]:
    """Records to set aside, and violations, under one rule."""
    (tmp_path / "rules.yaml").write_text(f"differences: {{}}\nrules:\n{rule}")
    reasons, found = rules.violations(rows, rules.read_rules(tmp_path / "rules.yaml"))
    return list(reasons), found


def test_a_warning_lets_a_record_pass(tmp_path: Path) -> None:
    rule = RULE.replace("EXPECT", "one_of: [Fe]").replace(
        "message: m", "message: m, severity: warn"
    )
    rejected, found = judged(
        tmp_path, rule, [fact("iron", "symbol", "Fe"), fact("gold", "symbol", "Ag")]
    )
    assert not rejected
    assert [(entry["value"], entry["severity"]) for entry in found] == [("Ag", "warn")]


def test_a_rule_that_stops_names_the_first_records(tmp_path: Path) -> None:
    rule = RULE.replace("EXPECT", "one_of: [Fe]").replace(
        "message: m", "message: only iron, severity: stop"
    )
    rows = [fact(f"e{number}", "symbol", f"E{number}") for number in range(7)]
    with pytest.raises(
        InputError, match=r"rule r stops the run: only iron; mend the source"
    ) as caught:
        judged(tmp_path, rule, rows)
    assert [line for line in str(caught.value).splitlines() if "value is" in line] == [
        f"  {row['locator']}: value is {row['value']}" for row in rows[:5]
    ]
    assert str(caught.value).endswith("and 2 more")
    assert judged(tmp_path, rule, [fact("iron", "symbol", "Fe")]) == ([], [])


def test_a_value_must_stand_in_another_source(tmp_path: Path) -> None:
    expect = "{column: subject, in_source: {source: b, column: subject}}"
    rule = f"- {{name: r, when: {{attribute: use}}, expect: {expect}, message: m}}"
    rows = [
        fact("iron", "use", "steel"),
        fact("irn", "use", "steel"),
        fact("iron", "symbol", "Fe", source="b"),
    ]
    assert judged(tmp_path, rule, rows)[0] == [rows[1]["id"]]
    with pytest.raises(
        ParamsError, match=r"rule r: no record has a column 'subjct'; did you mean subject\?"
    ):
        judged(tmp_path, rule.replace("column: subject}}", "column: subjct}}"), rows)


def test_a_rule_that_cannot_be_judged_is_never_taken_as_kept(tmp_path: Path) -> None:
    content = "differences: {}\nrules:\n" + RULE.replace("EXPECT", "matches: '('")
    (tmp_path / "rules.yaml").write_text(content)
    with pytest.raises(
        ParamsError, match=r"rule r could not be judged: Invalid regular expression"
    ):
        rules.violations([fact("iron", "symbol", "Fe")], rules.read_rules(tmp_path / "rules.yaml"))


def test_rule_that_names_no_column(tmp_path: Path) -> None:
    rule = RULE.replace("EXPECT", "matches: x").replace("attribute", "atribute")
    content = f"differences: {{}}\nrules:\n{rule}"
    (tmp_path / "rules.yaml").write_text(content)
    with pytest.raises(
        ParamsError, match=r"rule r: no record has a column 'atribute'; did you mean attribute\?"
    ):
        rules.violations([fact("iron", "symbol", "Fe")], rules.read_rules(tmp_path / "rules.yaml"))


@pytest.mark.parametrize("package", ["great_expectations.get_context", "pandas.DataFrame"])
def test_rules_need_their_packages(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("made to fail")

    monkeypatch.setattr(package, broken)
    with pytest.raises(RuntimeError, match="made to fail"):
        rules.violations([fact("iron", "symbol", "Fe")], rules.read_rules(RULES))


def test_a_full_disk_is_a_message_and_the_former_output_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder_bytes: Any
) -> None:
    rows = [fact("neon", "state", "gas", **NEON), fact("iron", "symbol", "Fe")]
    run(tmp_path, rows)
    before = folder_bytes(tmp_path / "out")

    def full(*_: Any) -> None:
        raise OSError("No space left on device (os error 28)")

    monkeypatch.setattr(corpus, "store", full)
    with pytest.raises(
        ResourceError, match=r"clean: no space left to write below .*out: .* free, and"
    ):
        run(tmp_path, rows)
    assert folder_bytes(tmp_path / "out") == before
