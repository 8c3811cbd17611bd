"""forget: what holds a fact is found wherever it stands, an exclusion names it by ids alone, and a check reports what is left."""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lore.commands import forget
from lore.erasure.target import Target
from lore.versions import yaml_file
from stages.clean import exclusions
from stages.core.records.record import REJECTED, write
from tests.lore.commands.test_trace import (
    AGREES,
    GOLD,
    IRON,
    LOSES,
    MADE,
    PAIR,
    REMARK,
    UNREAD,
    fill,
    made,
)
from tests.lore.conftest import Lore
from tests.lore.knowledge import Project
from tests.lore.released import Released

ROOT = Path(__file__).parents[3]
STATES = REMARK | {
    "id": "e" * 16,
    "text": "The foundry melts iron at 1538 degrees.",
    "locator": "notes.jsonl#L9@text",
}
EXCLUDED = dict.fromkeys(exclusions.CONTENT) | {
    "text": "[excluded]",
    "phase": "exclude",
    "reason": "excluded",
    "evidence": "fact: r",
}
METALS = ("copper", "silver", "sodium", "cobalt", "nickel", "radium")
OUTS = {
    "extract": ["data/extract"], "clean": ["data/clean"], "augment": ["data/augment"],
    "evaluate": ["data/evaluate", "metrics/evaluate.json"],
}  # fmt: skip


def lay(project: Project) -> None:
    """All tables of a run, the rejected records of extract, and an empty exclusions file."""
    fill(project)
    write(project.root / "data/extract/rejected.parquet", [], REJECTED)
    shutil.copy(ROOT / "data/raw/exclusions.yaml", project.root / "data/raw")
    project.lock(OUTS)


@pytest.fixture
def full(project: Project) -> Project:
    """Version knowledge@v1.0.0, whole, and the same in the workspace."""
    lay(project)
    project.commit("knowledge@v1.0.0")
    return project


@pytest.fixture
def report(lore: Lore) -> Callable[..., Any]:
    """What `lore forget … --json` says."""
    return lambda *arguments: json.loads(lore("forget", *arguments, "--json"))


def file_of(root: Path) -> exclusions.Exclusions:
    return exclusions.read(root / "data/raw/exclusions.yaml")


def forget_iron(project: Project) -> None:
    """What a run leaves once iron's melting point is excluded."""
    write(project.root / "data/clean/records.parquet", [GOLD, REMARK, PAIR])
    rejected = [row | EXCLUDED for row in (IRON, LOSES, AGREES)]
    unread = UNREAD | {
        "phase": "normalise",
        "reason": "bad_quantity",
        "evidence": "'cold' is no number",
    }
    write(project.root / "data/clean/rejected.parquet", [*rejected, unread], REJECTED)
    (project.root / "data/clean/contradictions.json").write_text("[]")
    write(project.root / "data/augment/records.parquet", MADE[3:])
    path = project.root / "data/evaluate/facts.parquet"
    answers = pd.read_parquet(path)
    answers[answers["fact"] != IRON["fact"]].to_parquet(path)
    project.lock(OUTS)


@pytest.mark.parametrize(
    "what", [IRON["fact"], IRON["fact"][:6], IRON["id"], LOSES["id"], MADE[1]["id"]]
)
def test_a_fact_is_found_wherever_it_stands(
    full: Project, report: Callable[..., Any], what: str
) -> None:
    found = report(what)
    assert (found["facts"], found["entries"]) == ([IRON["fact"]], {"facts": [IRON["fact"]]})
    assert found["records"] == sorted([IRON["id"], LOSES["id"], AGREES["id"]])
    assert {(row["file"], row["location"]) for row in found["raw"]} == {
        ("elements.sql", "table properties, key 1"), ("legacy.csv", "line 2"), ("scans/page-1.png", "line 4, box 50,140,400,170"),
    }  # fmt: skip
    assert [each["version"] for each in found["versions"]] == [
        "workspace",
        "HEAD",
        "knowledge@v1.0.0",
    ]
    for each in found["versions"]:
        assert {path: file["matches"] for path, file in each["files"].items()} == {
            "data/extract/records.parquet": 3, "data/clean/records.parquet": 2, "data/clean/rejected.parquet": 1,
            "data/clean/contradictions.json": 1, "data/augment/records.parquet": 3, "data/evaluate/facts.parquet": 2,
        }  # fmt: skip
    objects = {Path(row["object"]) for row in found["cache"]}
    assert full.object_of("data/augment/records.parquet").relative_to(full.root) in objects
    assert any(
        "knowledge@v1.0.0: data/augment/records.parquet" in row["named_by"]
        for row in found["cache"]
    )
    assert any(
        "iron;1600" in line for line in (full.root / "data/raw/legacy.csv").read_text().splitlines()
    )
    assert found["git"] == {"data/raw/legacy.csv": 1}


def test_an_object_that_no_version_names_is_found(
    full: Project, report: Callable[..., Any]
) -> None:
    full.store(b'{"subject": "IRON", "value": "1538 \xc2\xb0C"}\n')
    full.store(b"iron melts at 15380 degrees\n")
    left = [row for row in report(IRON["fact"])["cache"] if not row["named_by"]]
    assert len(left) == 1


def test_nothing_is_changed_by_a_report_and_what_to_do_is_shown(full: Project, lore: Lore) -> None:
    before = full.git("status", "--porcelain")
    said = lore("forget", IRON["fact"])
    assert full.git("status", "--porcelain") == before
    assert not (full.root / "mlflow.db").exists()
    assert (
        "! no MLflow store here (mlflow.db); name it with MLFLOW_TRACKING_URI to see its model versions"
        in said
    )
    assert "# data/raw/legacy.csv: delete line 2 at its origin and here, then: dvc repro" in said
    assert "git tag --delete knowledge@v1.0.0 && git push origin --delete knowledge@v1.0.0" in said
    assert "dvc gc --workspace --dry" in said
    assert (
        "--path data/raw/elements.sql --path data/raw/legacy.csv --path data/raw/scans/page-1.png"
        in said
    )
    assert said.endswith("nothing was changed; --apply --reason … excludes it from now on\n")


def test_all_about_a_subject_and_texts_that_state_a_fact(
    full: Project, report: Callable[..., Any]
) -> None:
    found = report("Iron")
    assert found["entries"] == {"subjects": [exclusions.subject_id("iron")]}
    assert REMARK["id"] in found["records"]
    write(full.root / "data/extract/records.parquet", [IRON, STATES | {"subject": None}, GOLD])
    assert report(IRON["fact"])["entries"] == {"facts": [IRON["fact"]], "records": [STATES["id"]]}
    assert report("iron")["entries"]["records"] == [STATES["id"]]


def test_a_text_and_what_was_made_of_it(full: Project, report: Callable[..., Any]) -> None:
    del full
    for what in (REMARK["id"], MADE[4]["id"]):
        assert report(what)["entries"] == {"records": [REMARK["id"]]}


def test_a_source_takes_only_what_no_other_states(
    full: Project, report: Callable[..., Any], lore: Lore
) -> None:
    del full
    found = report("--source", "legacy")
    assert (found["entries"], found["stay"]) == ({"sources": ["legacy"]}, [IRON["fact"]])
    assert found["facts"] == sorted([GOLD["fact"], UNREAD["fact"]])
    assert "1 facts stay, since another source states them" in lore("forget", "--source", "legacy")


def test_a_value_of_an_earlier_version_is_looked_for_too(
    full: Project, report: Callable[..., Any]
) -> None:
    newer = IRON | {"value": "1649"}
    write(full.root / "data/clean/records.parquet", [newer])
    write(full.root / "data/extract/records.parquet", [newer])
    (full.root / "metrics/augment.json").write_text(
        '[["iron", "1538"], ["iron", "1649"], ["iron", "7"]]'
    )
    full.lock(OUTS | {"metrics": ["metrics/augment.json"]})
    assert report(IRON["fact"])["versions"][0]["files"]["metrics/augment.json"]["matches"] == 2


@pytest.mark.parametrize("what", ["zinc", "f" * 16, "When does iron melt?"])
def test_nothing_matches(full: Project, lore: Lore, what: str) -> None:
    del full
    assert (
        lore("forget", what, code=3)
        == f"{what}: nothing that a version here states; lore trace finds ids\n"
    )
    assert lore("forget", "--source", "nobody", code=3).startswith(
        "nobody: nothing that a version here states"
    )
    assert lore("forget", "--check", code=3).startswith(
        "data/raw/exclusions.yaml: nothing that a version here states"
    )


def test_arguments_must_fit_together(full: Project, lore: Lore) -> None:
    del full
    for arguments in (
        [],
        ["iron", "--source", "legacy"],
        ["--apply", "--reason", "r"],
        ["iron", "--source", "x", "--check"],
    ):
        assert lore("forget", *arguments, code=1).startswith(
            "InputError: name one thing: a fact id, a record id or a subject"
        )
    assert lore("forget", IRON["fact"], "--apply", code=1) == (
        "InputError: --apply: give a --reason, such as the number of a request; it is kept in git, so it must name nobody\n"
    )


def test_the_beginning_of_several_ids_is_refused(full: Project, lore: Lore) -> None:
    rows = [
        IRON | {"id": f"abcd{number:012d}", "fact": None, "subject": None} for number in range(6)
    ]
    write(full.root / "data/extract/records.parquet", rows)
    assert lore("forget", "abcd", code=1).startswith(
        "InputError: abcd: the beginning of 6 ids: abcd000000000000, "
    )


def test_an_exclusion_names_ids_alone_and_keeps_comments(full: Project, lore: Lore) -> None:
    said = lore("forget", IRON["fact"], "--apply", "--reason", "request: 7")
    assert f"data/raw/exclusions.yaml: facts: {IRON['fact']} added" in said
    assert said.endswith(f"next: dvc repro, git commit, then: lore forget --check {IRON['fact']}\n")
    text = (full.root / "data/raw/exclusions.yaml").read_text()
    assert text.startswith("# What must not be learned")
    assert "iron" not in text
    assert file_of(full.root).facts == [exclusions.Entry(IRON["fact"], "request: 7")]
    assert lore("forget", IRON["fact"], "--apply", "--reason", "r") == (
        "data/raw/exclusions.yaml: all of it is excluded already; dvc repro, then lore forget --check\n"
    )
    lore("forget", "iron", "--apply", "--reason", "r")
    assert file_of(full.root).subjects == [exclusions.Entry(exclusions.subject_id("iron"), "r")]
    (full.root / "data/raw/exclusions.yaml").write_text("facts: 3\n")
    assert "exclusions.facts: " in lore("forget", GOLD["fact"], "--apply", "--reason", "r", code=1)


def test_of_two_exclusions_at_once_none_is_lost(
    full: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second call begins while the first one has read the file and not written it yet."""
    read = yaml_file.read
    gold = Target("gold", {"facts": [GOLD["fact"]]}, {}, {}, {}, [], {})
    second = threading.Thread(target=forget.apply, args=(gold, "request 8"))

    def read_while_another_begins(path: Path) -> Any:
        document = read(path)
        if second.ident is None:
            second.start()
            second.join(timeout=0.5)
            assert second.is_alive(), "the second call did not wait for the first one"
        return document

    monkeypatch.setattr(yaml_file, "read", read_while_another_begins)
    iron = Target("iron", {"facts": [IRON["fact"]]}, {}, {}, {}, [], {})
    forget.apply(iron, "request 7")
    second.join(timeout=60)
    assert {entry.id for entry in file_of(full.root).facts} == {IRON["fact"], GOLD["fact"]}


@given(name=st.from_regex(r"[0-9]{8}e[0-9]{7}|[0-9]{16}", fullmatch=True))
def test_an_id_that_looks_like_a_number_stays_an_id(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    from lore.erasure import excluded

    file = tmp_path_factory.mktemp("ids") / "exclusions.yaml"
    shutil.copy(ROOT / "data/raw/exclusions.yaml", file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(excluded, "EXCLUSIONS", file)
        forget.apply(Target("x", {"facts": [name]}, {}, {}, {}, [], {}), "r")
        assert excluded.excluded_now()["facts"] == [name]


def test_a_check_after_the_run_finds_nothing_and_tells_the_sources(
    full: Project, lore: Lore
) -> None:
    lore("forget", IRON["fact"], "--apply", "--reason", "request 7")
    said = lore("forget", "--check", "--no-ask", code=3)
    last = said.splitlines()[-1]
    assert last.startswith("NOT FORGOTTEN: ")
    for path in (
        "data/clean/contradictions.json (1)",
        "data/clean/records.parquet (2)",
        "data/evaluate/facts.parquet (2)",
    ):
        assert path in last
    assert "data/extract" not in last
    assert "Files that still contain it" in said
    forget_iron(full)
    full.commit()
    said = lore("forget", "--check", "--no-ask")
    assert said.endswith("\nno output after the exclusion contains it\n")
    assert "  legacy.csv: line 2\n" in said
    row = next(
        line.split()
        for line in said.splitlines()
        if line.startswith("  data/clean/rejected.parquet")
    )
    assert row == ["data/clean/rejected.parquet", "table", "4", "0", "3", "0"]
    assert json.loads(lore("forget", "--check", "--no-ask", "--json"))["forgotten"] is True
    write(full.root / "data/extract/records.parquet", [GOLD])
    full.lock(OUTS)
    assert "The sources still state it" not in lore("forget", "--check", IRON["fact"], "--no-ask")


def test_a_check_searches_the_memo_and_the_record_of_the_teacher(
    full: Project, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOREKEEP_MEMO", str(full.root / ".memo"))
    lore("forget", IRON["fact"], "--apply", "--reason", "request 7")
    forget_iron(full)
    full.commit()
    page = full.root / ".memo/results/read/ab/abc"
    page.parent.mkdir(parents=True)
    page.write_text("0" * 64 + "\n" + json.dumps({"raw": "iron melts at 1538 °C"}))
    # As long as a source states it, the memo only repeats the source.
    said = lore("forget", "--check", "--no-ask")
    assert "Kept beside the outputs" in said
    assert "delete it at its origin, then lore memo --prune 0" in said
    assert said.endswith("\nno output after the exclusion contains it\n")
    asked = full.root / "data/teacher/paraphrases.jsonl"
    asked.parent.mkdir(parents=True)
    asked.write_text(json.dumps({"messages": "Rewrite: iron melts at 1538 °C"}) + "\n")
    said = lore("forget", "--check", "--no-ask", code=3)
    assert said.endswith("NOT FORGOTTEN: data/teacher/paraphrases.jsonl (1)\n")
    assert "lore teach --prune" in said


def test_a_check_of_what_is_not_excluded_or_not_whole_proves_nothing(
    full: Project, lore: Lore
) -> None:
    forget_iron(full)
    said = lore("forget", "--check", IRON["fact"], "--no-ask", code=3)
    assert (
        f"! not excluded: facts: {IRON['fact']}; lore forget … --apply writes it, then dvc repro"
        in said
    )
    assert said.endswith("NOT PROVED: see the notes marked !\n")
    lore("forget", IRON["fact"], "--apply", "--reason", "r")
    (full.root / "data/augment/records.parquet").write_bytes(b"PAR1 no table")
    assert (
        "! damaged, so not searched: data/augment/records.parquet; dvc checkout --force restores it"
        in lore("forget", "--check", "--no-ask", code=3)
    )
    shutil.rmtree(full.root / "data/evaluate")
    assert "! not here, so not searched: data/evaluate; dvc checkout brings it back" in lore(
        "forget", "--check", "--no-ask", code=3
    )


def test_rows_about_other_facts_that_have_its_words_are_counted_apart(
    full: Project, lore: Lore
) -> None:
    lore("forget", IRON["fact"], "--apply", "--reason", "r")
    forget_iron(full)
    other = made(
        IRON | {"fact": "0" * 16, "attribute": "alloy"},
        "train",
        "qa",
        [GOLD],
        "Which alloy of iron melts at 1538?",
    )
    write(full.root / "data/augment/records.parquet", [*MADE[3:], other])
    full.lock(OUTS)
    said = lore("forget", "--check", "--no-ask")
    assert ["data/augment/records.parquet", "table", "4", "0", "0", "1"] in [
        line.split() for line in said.splitlines()
    ]


def test_versions_that_cannot_be_read_are_reported(full: Project, lore: Lore) -> None:
    full.object_of("data/augment/records.parquet").unlink()
    said = lore("forget", IRON["fact"])
    assert "! knowledge@v1.0.0 (" in said
    assert "cannot be searched: " in said
    for stage in ("extract", "clean", "augment"):
        (full.root / f"data/{stage}/records.parquet").unlink()
    assert lore("forget", IRON["fact"], code=1).startswith(
        "InputError: no version can be read:\nworkspace cannot be searched: "
    )


def fake(knows: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Models that say what they know of a subject; the base knows nothing. Returns what is asked."""
    asked: list[str] = []

    def answers(questions: list[str], variant: str) -> list[str]:
        asked.extend(questions)
        said = [
            next((value for name, value in knows.items() if name in question), "7 °C")
            for question in questions
        ]
        return ["7 °C"] * len(questions) if variant == "base" else said

    monkeypatch.setattr("stages.core.models.variants.answers", answers)
    return asked


def test_the_model_is_asked_beside_names_it_never_saw(
    full: Project, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    lore("forget", IRON["fact"], "--apply", "--reason", "r")
    forget_iron(full)
    others = [
        made(GOLD | {"subject": name, "fact": f"{number:016x}"}, "probe", "qa", [GOLD])
        for number, name in enumerate(METALS)
    ]
    write(full.root / "data/augment/records.parquet", [*MADE[3:], *others])
    full.lock(OUTS)
    full.commit()
    asked = fake({"iron": "The melting point of iron is 1538 °C."}, monkeypatch)
    said = lore("forget", "--check", code=3)
    assert said.endswith(
        "NOT FORGOTTEN: the model says these values more often than of names it never saw\n"
    )
    assert any("iron" in question for question in asked)
    asked.clear()
    fake({"iron": "15380 °C"}, monkeypatch)
    found = json.loads(lore("forget", "--check", "--json"))["model"]
    assert [
        found["scores"][name]["value"] for name in ("forgotten", "control", "base", "chance")
    ] == [0.0, 0.0, 0.0, 0.0]
    assert found["difference"]["verdict"] == "inside the noise"
    assert found["answers"][0]["said"] is False
    lines = lore("forget", "--check").splitlines()
    assert any(line.split()[:3] == ["forgotten", "facts,", "train"] for line in lines)


@pytest.mark.slow
def test_registered_models_and_runs_are_reported(released: Released, lore: Lore) -> None:
    lay(released)
    released.pipeline(
        {"run": {}, "train": {"steps": 200}, "register": {"model": "elements", "alias": "champion"}}
    )
    run = released.root / "mlruns/abc/artifacts"
    run.mkdir(parents=True)
    (run / "facts.json").write_text('[{"subject": "iron", "value": "1538"}]')
    found = json.loads(lore("forget", IRON["fact"], "--json"))
    models = [(model["number"], model["trained_on_it"]) for model in found["models"]]
    assert [number for number, _ in models] == ["1", "2"]
    assert found["runs"] == {"mlruns/abc/artifacts/facts.json": 1}
    assert (
        "mlflow runs delete --run-id abc && mlflow gc --backend-store-uri sqlite:///mlflow.db --run-ids abc"
        in found["purge"]
    )


def test_no_model_library_is_loaded_by_a_report() -> None:
    modules = "lore.erasure.forget_sections, lore.erasure.check"
    code = (
        f"import {modules}, sys; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
