"""clean: normalisers are idempotent and guess nothing; scores and rules do what they say; every reason has a case here."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages import clean
from stages.clean import contradictions, information, normalise, rules
from stages.core import record
from stages.core.errors import InputError, ParamsError
from stages.core.params import Run, load

ROOT = Path(__file__).parents[2]
PARAMS, _ = load("clean", clean.Params, ROOT / "params.yaml")
RULES, EXCLUSIONS = ROOT / "data/raw/rules.yaml", ROOT / "data/raw/exclusions.yaml"


def fact(subject: str, attribute: str, value: str, unit: str | None = None, source: str = "a", **meta: str) -> dict[str, Any]:
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
    locator = f"t#{subject}/{content[:20]}/{number}"
    row = dict.fromkeys(record.SCHEMA.names) | {"text": content, "subject": subject, "kind": "statement", "lang": "en"}
    return row | {"id": record.record_id("t", locator), "source": "t", "locator": locator, "meta": "{}", "parents": []}


def run(tmp_path: Path, rows: list[dict[str, Any]], params: clean.Params = PARAMS) -> tuple[list[Any], dict[str, str], Any]:
    record.write(tmp_path / "in/records.parquet", rows)
    record.write(tmp_path / "in/rejected.parquet", [], record.REJECTED)
    names = dict.fromkeys(row["source"] for row in rows)
    sources = [{"name": name, "units": 1, "records": sum(row["source"] == name for row in rows), "rejected": 0} for name in names]
    (tmp_path / "in/sources.json").write_text(json.dumps(sources))
    clean.run(params, Run(1, 1, "avx2", "cpu"), tmp_path / "in", RULES, EXCLUSIONS, tmp_path / "out", tmp_path / "clean.json")
    rejected = record.read(tmp_path / "out/rejected.parquet", record.REJECTED)
    report = json.loads((tmp_path / "clean.json").read_text())
    return record.read(tmp_path / "out/records.parquet"), {row["locator"]: row["reason"] for row in rejected}, report


@pytest.mark.parametrize(
    ("value", "unit", "wanted", "expected"),
    [
        ("1811.15", "K", "°C", "1538"),
        ("2800.4", "°F", "°C", "1538"),
        ("1538 ℃", None, "°C", "1538"),
        ("1,538.0", "C", "°C", "1538"),
        ("1 538", "°C", "°C", "1538"),
        ("−38.83", "°C", "°C", "-38.83"),
        ("１５３８", "°C", "°C", "1538"),
        ("7874", "kg/m³", "g/cm³", "7.874"),
        ("7.874", "g/cm3", "g/cm³", "7.874"),
        ("7874", "kg m-3", "g/cm³", "7.874"),
        ("0.0558450", "kg/mol", "g/mol", "55.84"),
        ("2.5", "公斤", "g", "2500"),
        ("1.5e3", "m", "km", "1.5"),
        ("1.5 × 10^3", "m", "km", "1.5"),
        ("0.00008988", "g/cm³", "g/cm³", "0.00008988"),
        ("-0.0", "°C", "°C", "0"),
    ],
)
def test_quantities(value: str, unit: str | None, wanted: str, expected: str) -> None:
    assert normalise.quantity(normalise.clean_text(value), unit, wanted, 4) == expected


@pytest.mark.parametrize("value", ["12,3,4", "1,23", "n/a", "", "1538..2", "1.538.0", "1 53 8", "about 7", "--"])
def test_numbers_that_are_not_one_number(value: str) -> None:
    with pytest.raises(normalise.Unusable) as caught:
        normalise.quantity(value, "°C", "°C", 4)
    assert caught.value.reason == "bad_quantity"


@pytest.mark.parametrize("unit", ["furlong", "°X", "", "g", "9**9**9", "__import__('os')", "??", "kg" * 40, "10"])
def test_units_that_do_not_convert(unit: str) -> None:
    with pytest.raises(normalise.Unusable) as caught:
        normalise.quantity("5", unit, "°C", 4)
    assert caught.value.reason == "unknown_unit"


def test_subjects_are_spelt_as_the_best_source_spells_them() -> None:
    rows = [fact("iron", "symbol", "Fe"), fact("IRON", "density", "7.874", "g/cm³"), text("Rusts in wet air.", "Ｉron")]
    spelt, reasons = normalise.normalise_rows(rows, PARAMS.normalise)
    assert [row["subject"] for row in spelt] == ["iron"] * 3
    assert [row["text"] for row in spelt] == ["iron: symbol Fe", "iron: density 7.874 g/cm³", "Rusts in wet air."]
    assert not reasons


@given(st.floats(-273, 6000, allow_nan=False))
def test_temperatures_come_back(celsius: float) -> None:
    there = normalise.quantity(f"{celsius + 273.15:.6f}", "K", "°C", 12)
    fahrenheit = normalise.quantity(f"{celsius * 1.8 + 32:.6f}", "°F", "°C", 12)
    assert float(there) == pytest.approx(celsius, abs=1e-5)
    assert float(fahrenheit) == pytest.approx(celsius, abs=1e-5)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=5))
def test_plain_is_idempotent(number: Any) -> None:
    once = normalise.plain(number, 4)
    assert normalise.quantity(once, "m", "m", 4) == once
    assert "e" not in once.lower()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2019-03-07", "2019-03-07"),
        ("07/03/2019", "2019-03-07"),
        ("7 March 2019", "2019-03-07"),
        ("7th March 2019", "2019-03-07"),
        ("Mar 7, 2019", "2019-03-07"),
        ("March 7, 2019", "2019-03-07"),
        ("20190307", "2019-03-07"),
        ("2019年3月7日", "2019-03-07"),
        ("7.3.2019", "2019-03-07"),
        ("2019-03", "2019-03"),
        ("March 2019", "2019-03"),
        ("2019", "2019"),
        ("2019年", "2019"),
        ("7 March 0812", "0812-03-07"),
        ("2019-03-07T18:37:13Z", "2019-03-07"),
        ("2019-03-07 18:37:13.000", "2019-03-07"),
        ("2019-03-07T23:15:05+00:00", "2019-03-07"),
        ("20190307111514-0500", "2019-03-07"),
        ("201903071115", "2019-03-07"),
    ],
)
def test_dates(written: str, expected: str) -> None:
    assert normalise.iso_date(written, day_first=True) == expected
    assert normalise.iso_date(expected, day_first=True) == expected


def test_day_and_month_are_a_setting() -> None:
    assert normalise.iso_date("07/03/2019", day_first=False) == "2019-07-03"


@pytest.mark.parametrize(
    "written",
    [
        "31/02/2020",
        "2020-13-01",
        "soon",
        "17x6",
        "300 BC",
        "190",
        "2019-03-07 noon",
        "2019-02-30T10:00",
        "20190307111",
        "99999999",
        "",
    ],
)
def test_dates_that_are_none(written: str) -> None:
    with pytest.raises(normalise.Unusable) as caught:
        normalise.iso_date(written, day_first=True)
    assert caught.value.reason == "bad_date"


@given(st.text(max_size=60))
def test_clean_text_is_idempotent(content: str) -> None:
    once = normalise.clean_text(content)
    assert normalise.clean_text(once) == once
    assert "  " not in once


def test_clean_text_keeps_what_means_something() -> None:
    assert normalise.clean_text("7.87\u00a0g/cm³\u200b") == "7.87 g/cm³"
    assert normalise.clean_text("密度：７．８７") == "密度：7.87"


def test_unknown_unit_in_params_is_refused() -> None:
    params = normalise.Params({"a": "parsec/fortnightt"}, {}, 4, [], [], True)
    with pytest.raises(ParamsError, match=r"clean.normalise.units.a: unknown unit 'parsec/fortnightt'"):
        normalise.normalise_rows([], params)


NOTES = [
    ("iron", "Iron rusts in moist air."),
    ("gold", "Gold leaf is thinner than paper."),
    ("neon", "Neon lamps glow orange."),
    ("tin", "Tin whistles are cheap."),
]
LEGAL = "All rights reserved, see the terms."


def test_boilerplate_scores_low_and_knowledge_high() -> None:
    texts = NOTES + [(subject, LEGAL) for subject, _ in NOTES]
    scores = information.information_scores(texts, 0.03)
    assert min(scores[:4]) > 0.5
    assert max(scores[4:]) < 0.05


def test_chinese_boilerplate_scores_low() -> None:
    texts = [(f"s{i}", "版权所有，未经许可不得转载。") for i in range(4)] + [("铁", "铁在潮湿的空气中会生锈。")]
    scores = information.information_scores(texts, 0.03)
    assert max(scores[:4]) < 0.05
    assert scores[4] > 0.5


def test_a_note_repeated_for_its_own_subject_is_no_boilerplate() -> None:
    scores = information.information_scores([("iron", "Iron rusts in moist air.")] * 6, 0.03)
    assert min(scores) == 1.0


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.text("xyz ", min_size=1)), min_size=1, max_size=20), st.integers(2, 5))
def test_score_lies_in_0_1_and_length_does_not_matter(texts: list[tuple[str, str]], times: int) -> None:
    scores = information.information_scores(texts, 0.1)
    assert all(0 <= score <= 1 for score in scores)
    longer = [(subject, " ".join([content] * times)) for subject, content in texts]
    assert information.information_scores(longer, 0.1) == pytest.approx(scores)


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
        fact("neon", "state", "gas", temperature="293.15 K", pressure="1 atm", melting_point="24.55 K", boiling_point="27.05 K"),
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
    assert {entry["rule"] for entry in violations} == {"impossible_temperature", "state_contradicts_conditions"}
    assert all(entry["record"] in {row["id"] for row in rows} for entry in violations)


def test_equal_input_gives_equal_bytes(tmp_path: Path, folder_bytes: Any) -> None:
    neon = {"temperature": "293.15 K", "pressure": "1 atm", "melting_point": "24.55 K", "boiling_point": "27.05 K"}
    rows = [fact("iron", "density", "7874", "kg/m³"), fact("neon", "state", "gas", **neon), *[text(c, s) for s, c in NOTES]]
    for name in "ab":
        run(tmp_path / name, rows)
    assert folder_bytes(tmp_path / "a/out") == folder_bytes(tmp_path / "b/out")


def test_nothing_kept_is_an_error(tmp_path: Path) -> None:
    neon = {"temperature": "293.15 K", "pressure": "1 atm", "melting_point": "24.55 K", "boiling_point": "27.05 K"}
    with pytest.raises(InputError, match=r"not one of 1 records of .* was kept; check the clean section"):
        run(tmp_path, [fact("neon", "state", "soild", **neon)])


def test_contradictions_within_a_source_and_of_words() -> None:
    rows = [fact("tin", "symbol", "Sn"), fact("tin", "symbol", "Ti"), fact("tin", "use", "cans"), fact("tin", "use", "toys")]
    params = contradictions.Params(tolerance={}, single_valued=["symbol"])
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
        (f"differences: {{}}\nrules:\n{RULE.replace(', EXPECT', '')}", r"rules.0.expect \(r\): write one of .*; got none"),
    ],
)  # fmt: skip
def test_rules_file_errors(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "rules.yaml").write_text(content)
    with pytest.raises(ParamsError, match=message):
        rules.read_rules(tmp_path / "rules.yaml")


def test_a_rule_that_cannot_be_judged_is_never_taken_as_kept(tmp_path: Path) -> None:
    content = "differences: {}\nrules:\n" + RULE.replace("EXPECT", "matches: '('")
    (tmp_path / "rules.yaml").write_text(content)
    with pytest.raises(ParamsError, match=r"rule r could not be judged: Invalid regular expression"):
        rules.violations([fact("iron", "symbol", "Fe")], rules.read_rules(tmp_path / "rules.yaml"))


def test_rule_that_names_no_column(tmp_path: Path) -> None:
    content = f"differences: {{}}\nrules:\n{RULE.replace('EXPECT', 'matches: x').replace('attribute', 'atribute')}"
    (tmp_path / "rules.yaml").write_text(content)
    with pytest.raises(ParamsError, match=r"rule r: no record has a column 'atribute'; did you mean attribute\?"):
        rules.violations([fact("iron", "symbol", "Fe")], rules.read_rules(tmp_path / "rules.yaml"))


@pytest.mark.parametrize("package", ["great_expectations.get_context", "pandas.DataFrame"])
def test_rules_need_their_packages(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("made to fail")

    monkeypatch.setattr(package, broken)
    with pytest.raises(RuntimeError, match="made to fail"):
        rules.violations([fact("iron", "symbol", "Fe")], rules.read_rules(RULES))
