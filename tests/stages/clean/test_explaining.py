"""explaining: each phase of a record is explained as it was. The findings are those of the run."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from stages import clean
from stages.clean import explaining
from stages.clean.explaining import Change, Explanation, Files, explain, findings
from stages.clean.filters.information import Lines
from stages.clean.passes.ledger import PHASES
from stages.clean.personal import Params as Personal
from stages.clean.verifying import rules
from stages.core.project.errors import InputError
from stages.core.project.params import Run
from stages.core.records import record
from tests.stages.clean.filters.test_repeats import LONG
from tests.stages.clean.test_clean import EXCLUSIONS, NEON, PARAMS, RULES, fact, text
from tests.stages.clean.verifying.test_answers import qa

Row = dict[str, Any]
FOOTER = "All rights are with the museum."
CONFLICTS = dataclasses.replace(
    PARAMS,
    personal=Personal(actions={"email": "replace", "url": "reject"}),
    filter=dataclasses.replace(
        PARAMS.filter, threshold=0.0, boilerplate=None, lines=Lines(share=0.01, least=3, words=3)
    ),
    verify=dataclasses.replace(PARAMS.verify, answers="first"),
)
KEPT = fact("iron", "melting point", "2800.4", "°F", reviewed="07/03/2019")
AGAIN = fact("ＩRON", "density", "7874", "kg/m³", source="b")
COLDER = fact("iron", "melting point", "1600", "°C", source="c")
HEAVY = fact("Ｔin", "density", "heavy", "g/cm³")
DATED = fact("tin", "symbol", "Sn", checked="31/31/2019")
YEAR = fact("tin", "discovery year", "long ago")
BROKEN = fact("gold", "density", "-19.3", "g/cm³")
NOBLE = fact("neon", "state", "gas", **NEON)
FORGOTTEN = text("Whoever asked for it may have this sentence forgotten.")
WITH_FOOTER = [text(f"{metal} is an old metal.\n{FOOTER}") for metal in ("Gold", "Tin", "Lead")]
NOTHING_ELSE = text(FOOTER, None, 3)
LONG_TEXT, LONG_AGAIN, NEARLY = text(LONG), text(LONG, None, 1), text(f"{LONG} quite", None, 2)
ADDRESS = text("Write to jane@example.org about the  old bridge over the river.")
LINKED = text("See https://example.org/a/page for the other half.")
FIRST = qa("d", "Is aspirin safe for children?", "No, it may do harm.")
SECOND = qa("e", "Is Aspirin safe for children", "Yes, in low doses it is harmless.")
ROWS = [
    KEPT, AGAIN, COLDER, HEAVY, DATED, YEAR, BROKEN, NOBLE, FORGOTTEN, *WITH_FOOTER, NOTHING_ELSE,
    LONG_TEXT, LONG_AGAIN, NEARLY, ADDRESS, LINKED, FIRST, SECOND,
]  # fmt: skip
BEFORE = fact("lead", "symbol", "?") | {
    "phase": "extract",
    "reason": "malformed",
    "evidence": "no value",
}
SKIPPED = fact("lead", "use", "x") | {"phase": "extract", "reason": "where", "evidence": "kind: y"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Files, list[list[Row]]]:
    """The files of a run with something in every phase, and the rows that the rules judged."""
    folder = tmp_path_factory.mktemp("project")
    record.write(folder / "extract/records.parquet", ROWS)
    record.write(folder / "extract/rejected.parquet", [BEFORE], record.REJECTED)
    record.write(folder / "extract/skipped.parquet", [SKIPPED], record.REJECTED)
    names = dict.fromkeys(row["source"] for row in ROWS)
    sources = [{"name": name, "units": 1, "records": 1, "rejected": 0} for name in names]
    (folder / "extract/sources.json").write_text(json.dumps(sources))
    excluded = json.loads(json.dumps({"facts": [], "subjects": [], "sources": []}))
    excluded["records"] = [{"id": FORGOTTEN["id"], "reason": "request 7"}]
    (folder / "exclusions.yaml").write_text(json.dumps(excluded))
    files = Files(folder / "extract", RULES, folder / "exclusions.yaml", folder / "clean")
    judged: list[list[Row]] = []
    violations = rules.violations

    def watched(rows: list[Row], checks: rules.Rules) -> Any:
        judged.append([row for row in rows if row["fact"]])
        return violations(rows, checks)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rules, "violations", watched)
        run = Run(1, 1, "avx2", "cpu")
        clean.run(
            CONFLICTS,
            run,
            files.extracted,
            files.rules,
            files.exclusions,
            files.cleaned,
            folder / "clean.json",
        )
    return files, judged


def explained(files: Files, row: Row) -> Explanation:
    return explain(row["id"], CONFLICTS, files)


@pytest.mark.parametrize(
    ("row", "phase", "reason", "setting"),
    [
        (BEFORE, "extract", "malformed", "extract.sources.a"),
        (SKIPPED, "extract", "where", "extract.sources.a.where"),
        (FORGOTTEN, "exclude", "excluded", "exclusions.yaml"),
        (HEAVY, "normalise", "bad_quantity", "clean.normalise.units.density"),
        (DATED, "normalise", "bad_date", "clean.normalise.dates"),
        (YEAR, "normalise", "bad_date", "clean.normalise.years"),
        (LINKED, "personal", "personal_data", "clean.personal"),
        (NOTHING_ELSE, "filter", "boilerplate", "clean.filter.lines"),
        (LONG_AGAIN, "filter", "duplicate", None),
        (NEARLY, "filter", "near_duplicate", "clean.filter.near_duplicates"),
        (BROKEN, "verify", "non_positive_density", "rules.yaml: non_positive_density"),
        (COLDER, "verify", "contradiction", "clean.verify.tolerance.melting point"),
        (SECOND, "verify", "contradiction", "clean.verify.answers"),
    ],
)
def test_a_record_that_was_set_aside(
    project: tuple[Files, list[list[Row]]], row: Row, phase: str, reason: str, setting: str | None
) -> None:
    found = explained(project[0], row)
    assert found.verdict
    assert (found.verdict.name, found.verdict.reason) == (phase, reason)
    if setting is None:
        assert found.verdict.setting is None
    else:
        assert (found.verdict.setting or "").endswith(setting)
    assert found.verdict.after is None
    at = PHASES.index(phase)
    assert [part.name for part in found.phases] == list(PHASES)
    assert {part.outcome for part in found.phases[at + 1 :]} <= {"not reached"}
    assert all(part.outcome in ("passed", "off") for part in found.phases[:at])
    rejected = record.read(project[0].rejected, record.REJECTED)
    evidence = {entry["id"]: entry["evidence"] for entry in rejected}
    assert found.verdict.evidence == evidence.get(row["id"], "kind: y")


@pytest.mark.parametrize(
    ("reason", "setting"),
    [
        ("low_information", "clean.filter.threshold"),
        ("boilerplate", "clean.filter.boilerplate"),
    ],
)
def test_texts_that_say_too_little(
    project: tuple[Files, list[list[Row]]], reason: str, setting: str
) -> None:
    final = ADDRESS | {"phase": "filter", "reason": reason, "evidence": "score 0.01 is below 0.05"}
    assert explaining._setting_of(final, ADDRESS, CONFLICTS, project[0]) == setting


def test_every_record_is_explained_as_the_tables_have_it(
    project: tuple[Files, list[list[Row]]],
) -> None:
    files, _ = project
    rejected = {row["id"]: row for row in record.read(files.rejected, record.REJECTED)}
    kept = {row["id"]: row for row in record.read(files.records)}
    assert len(kept) > 5
    for row in ROWS:
        found = explained(files, row)
        if row["id"] in kept:
            assert found.verdict is None
            final = kept[row["id"]]
            assert found.phases[-1].after == {name: final[name] for name in explaining.SHOWN}
            replayed = dict(found.extracted or {})
            for change in (change for step in found.steps for change in step.changes):
                assert replayed[change.column] == change.before
                replayed[change.column] = change.after
            assert replayed == found.phases[-1].after
        else:
            assert found.verdict
            assert found.verdict.reason == rejected[row["id"]]["reason"]


def test_every_operation_is_named_with_its_setting(project: tuple[Files, list[list[Row]]]) -> None:
    files, _ = project
    operations = {step.operation: step for row in ROWS for step in explained(files, row).steps}
    assert {name: step.setting for name, step in operations.items()} == {
        "recurring lines": "clean.filter.lines",
        "characters and spaces": None,
        "one form for values": "clean.normalise",
        "personal data": "clean.personal",
        "one spelling of a subject": None,
    }
    values = next(
        step for step in explained(files, KEPT).steps if step.setting == "clean.normalise"
    )
    assert Change("value", "2800.4", "1538") in values.changes
    assert Change("unit", "°F", "°C") in values.changes
    spelt = explained(files, AGAIN).phases[-1]
    assert [step.operation for step in spelt.steps] == ["one spelling of a subject"]
    assert spelt.steps[0].changes[-1] == Change("subject", "IRON", "iron")


def test_both_sides_and_violations_of_a_record(project: tuple[Files, list[list[Row]]]) -> None:
    files, _ = project
    (dispute,) = explained(files, KEPT).contradictions
    assert dispute["loser"]["record"] == COLDER["id"]
    assert explained(files, COLDER).contradictions == [dispute]
    (answers,) = explained(files, SECOND).contradictions
    assert answers["winner"]["record"] == FIRST["id"]
    (violation,) = explained(files, BROKEN).violations
    assert violation["rule"] == "non_positive_density"
    assert explained(files, NOBLE).violations == []


def test_what_is_excluded_is_explained_without_its_content(
    project: tuple[Files, list[list[Row]]],
) -> None:
    found = explained(project[0], FORGOTTEN)
    assert "sentence" not in str(dataclasses.asdict(found))
    assert found.extracted
    assert found.extracted["text"] == "[excluded]"


def test_the_beginning_of_an_id_is_enough(project: tuple[Files, list[list[Row]]]) -> None:
    files, _ = project
    assert explain(KEPT["id"][:8], CONFLICTS, files).id == KEPT["id"]
    with pytest.raises(InputError, match="zzzz: no record has an id that begins so; ids are in"):
        explain("zzzz", CONFLICTS, files)
    with pytest.raises(InputError, match="abc: give at least 4 characters of a record's id"):
        explain("abc", CONFLICTS, files)


def test_an_id_that_begins_two_records(tmp_path: Path) -> None:
    rows = [KEPT | {"id": "aaaa1"}, KEPT | {"id": "aaaa2"}]
    record.write(tmp_path / "records.parquet", rows)
    record.write(tmp_path / "rejected.parquet", [], record.REJECTED)
    files = Files(tmp_path / "extract", RULES, EXCLUSIONS, tmp_path)
    with pytest.raises(
        InputError, match="aaaa: 2 records begin so: aaaa1, aaaa2; give more of the id"
    ):
        explain("aaaa", PARAMS, files)


def test_settings_of_another_run_are_refused(project: tuple[Files, list[list[Row]]]) -> None:
    units = CONFLICTS.normalise.units | {"melting point": "kg"}
    other = dataclasses.replace(
        CONFLICTS, normalise=dataclasses.replace(CONFLICTS.normalise, units=units)
    )
    with pytest.raises(InputError, match="clean normalised it with other settings; run dvc repro"):
        explain(KEPT["id"], other, project[0])


def test_findings_are_those_of_the_run(project: tuple[Files, list[list[Row]]]) -> None:
    files, judged = project
    found = findings(CONFLICTS, files)
    assert judged == [found.facts]
    assert len(found.facts) == 5
    assert found.sources == ["a", "b", "c", "t", "d", "e"]
    reported = json.loads((files.cleaned / "violations.json").read_text())
    assert [entry for rule in found.by_rule for entry in rule.violations] == reported
    assert found.violations == len(reported) == 1
    declared = {(rule.name, rule.message) for rule in found.checks.rules}
    assert {(rule.name, rule.message) for rule in found.by_rule} == declared
    disputes = json.loads((files.cleaned / "contradictions.json").read_text())
    assert list(found.contradictions()) == list(found.contradictions()) == disputes
    table = found.table()
    assert table["id"].tolist() == [row["id"] for row in found.facts]


def test_a_rule_that_clean_did_not_know_is_refused(
    project: tuple[Files, list[list[Row]]], tmp_path: Path
) -> None:
    (tmp_path / "rules.yaml").write_text("differences: {}\nrules: []\n")
    files = dataclasses.replace(project[0], rules=tmp_path / "rules.yaml")
    with pytest.raises(
        InputError, match=r"made with a rule non_positive_density that .* does not have"
    ):
        findings(CONFLICTS, files)


def test_expectations_are_those_of_the_rules(project: tuple[Files, list[list[Row]]]) -> None:
    found = findings(CONFLICTS, project[0])
    table = found.table()
    pairs = list(found.expectations(table))
    assert [rule for rule, _ in pairs] == found.checks.rules
    assert all(expectation.row_condition for _, expectation in pairs)


def test_nothing_is_written(project: tuple[Files, list[list[Row]]], folder_bytes: Any) -> None:
    files, _ = project
    before = folder_bytes(files.cleaned.parent)
    explained(files, KEPT)
    list(findings(CONFLICTS, files).contradictions())
    assert folder_bytes(files.cleaned.parent) == before


def test_without_a_run_the_message_says_what_to_do(tmp_path: Path) -> None:
    files = Files(tmp_path / "extract", RULES, EXCLUSIONS, tmp_path / "clean")
    with pytest.raises(InputError, match="not found; run the stage that writes it"):
        explain("abcd", PARAMS, files)
    with pytest.raises(InputError, match="not found; run the stage that writes it"):
        findings(PARAMS, files)


@pytest.mark.parametrize("content", ['[\n  {\n    "a": \n  }\n]\n', "[\n  \xff"])
def test_a_damaged_report_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "violations.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=r"cannot be read .*; restore it with dvc checkout"):
        list(explaining._entries(path))
