"""overlay: settings are merged with their comments kept, and nothing is written that a stage would refuse."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lore.__main__ import main
from lore.commands.overlay import merge
from lore.versions.yaml_file import read

ROOT = Path(__file__).parents[3]
KEYS = st.sampled_from("abc")
LEAVES = st.none() | st.integers(0, 2) | st.lists(st.integers(0, 2), max_size=2)
MAPPINGS = st.dictionaries(
    KEYS, LEAVES | st.dictionaries(KEYS, LEAVES | st.dictionaries(KEYS, LEAVES))
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def overlay(project: Path, text: str, *options: str, code: int = 0) -> None:
    (project / "o.yaml").write_text(text, encoding="utf-8")
    assert main(["overlay", "o.yaml", *options]) == code


def test_only_the_named_lines_change(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (project / "params.yaml").read_text(encoding="utf-8").splitlines()
    overlay(project, "train: {steps: 20, lora: {r: 4}}\nevaluate:\n  general: 40\n")
    after = (project / "params.yaml").read_text(encoding="utf-8").splitlines()
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    assert changed == ["    r: 4", "  steps: 20", "  general: 40"]
    assert (
        capsys.readouterr().out
        == "train.steps: 1200 → 20\ntrain.lora.r: 64 → 4\nevaluate.general: 500 → 40\n"
    )


def test_an_overlay_that_says_nothing_new_writes_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overlay(project, "base: {source: embedded, folder: null}\n")
    assert (project / "params.yaml").read_bytes() == (ROOT / "params.yaml").read_bytes()
    assert "says all that already" in capsys.readouterr().out


def test_a_dry_run_writes_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overlay(project, "run: {seed: 5}\n", "--dry-run")
    assert (project / "params.yaml").read_bytes() == (ROOT / "params.yaml").read_bytes()
    assert capsys.readouterr().out == "run.seed: 20260701 → 5\n"


def test_of_several_files_the_last_one_counts(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "first.yaml").write_text("train: {steps: 10, warmup: 1}\n")
    (project / "o.yaml").write_text("train: {steps: 20}\n")
    assert main(["overlay", "first.yaml", "o.yaml"]) == 0
    assert capsys.readouterr().out == "train.steps: 1200 → 20\ntrain.warmup: 40 → 1\n"


def test_every_mistake_is_told_at_once_and_nothing_written(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overlay(project, "trian: {steps: 2}\nquantize: {scheme: int4}\ntrain: {step: 3}\n", code=1)
    said = capsys.readouterr().err
    assert "trian: no section of params.yaml; did you mean train?" in said
    assert "train.step: unknown; did you mean steps?" in said
    assert "quantize.scheme: input should be 'weight_only' or 'dynamic', got 'int4'" in said
    assert (project / "params.yaml").read_bytes() == (ROOT / "params.yaml").read_bytes()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", "o.yaml: expected a mapping of sections at the top level"),
        ("a: [\n", "o.yaml: not readable as YAML"),
    ],
)
def test_a_file_that_is_no_overlay(
    project: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    overlay(project, text, code=1)
    assert message in capsys.readouterr().err


def test_a_file_that_is_not_there(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["overlay", "away.yaml"]) == 1
    assert "away.yaml: not found; run from the project's root folder" in capsys.readouterr().err
    (project / "folder.yaml").mkdir()
    assert main(["overlay", "folder.yaml"]) == 1
    assert "folder.yaml: cannot be read: Is a directory" in capsys.readouterr().err


def test_the_inputs_of_extract_follow_the_sources(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    csv = "{kind: csv, name: %s, path: '%s', lang: en, encoding: utf-8, delimiter: ',', skip_lines: 0, map: {text: note}}"
    sources = ", ".join(
        csv % pair
        for pair in (
            ("notes", "notes/*.csv"),
            ("b", "b.csv"),
            ("all", "**/x.csv"),
            ("c", "n/c?.csv"),
        )
    )
    overlay(project, f"extract: {{sources: [{sources}]}}\n")
    said = capsys.readouterr().out
    assert (
        "extract.sources: [elements, sheets, discoveries, uses, legacy, cards] → [notes, b, all, c]"
        in said
    )
    assert "dvc.yaml: extract reads data/raw, data/raw/b.csv, data/raw/n, data/raw/notes" in said
    before, after = read(ROOT / "dvc.yaml")["stages"], read(project / "dvc.yaml")["stages"]
    deps = before["extract"].pop("deps"), after["extract"].pop("deps")
    assert before == after
    assert [dep for dep in deps[0] if not dep.startswith("data/raw")] == deps[1][4:]


def test_a_model_folder_of_a_source_becomes_an_input(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "models/whisper").mkdir(parents=True)
    talks = "{kind: audio, name: talks, path: talks/*.flac, lang: en, engine: whisper, model: models/whisper, map: {text: text}}"
    overlay(project, f"extract: {{sources: [{talks}]}}\n")
    assert "dvc.yaml: extract reads data/raw/talks, models/whisper" in capsys.readouterr().out
    assert read(project / "dvc.yaml")["stages"]["extract"]["deps"][:2] == [
        "data/raw/talks",
        "models/whisper",
    ]


def test_the_folder_of_a_table_of_pictures_becomes_an_input(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copyfile(ROOT / "docs/profiles/pictures.yaml", project / "pictures.yaml")
    assert main(["overlay", "--add-sources", "pictures.yaml"]) == 0
    assert "data/raw/pictures, data/raw/scans" in capsys.readouterr().out
    assert "data/raw/pictures" in read(project / "dvc.yaml")["stages"]["extract"]["deps"]
    assert read(project / "params.yaml")["pictures"]["model"] == "train"


def test_an_empty_mapping_clears_the_old_one(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overlay(project, "clean: {normalise: {units: {}}, verify: {tolerance: {}}, personal: {}}\n")
    clean = read(project / "params.yaml")["clean"]
    assert clean["normalise"]["units"] == {}
    assert clean["verify"]["tolerance"] == {}
    said = capsys.readouterr().out
    assert "clean.normalise.units: {'molar mass': 'g/mol'" in said
    assert "clean.verify.tolerance: " in said
    assert "clean.personal" not in said  # it was empty


def test_a_blank_overlay_before_ones_own_leaves_nothing_of_the_elements(project: Path) -> None:
    (project / "o.yaml").write_text("clean: {normalise: {units: {flow: m³/h}}}\n")
    assert main(["overlay", str(ROOT / "docs/profiles/blank.yaml"), "o.yaml"]) == 0
    clean = read(project / "params.yaml")["clean"]
    assert clean["normalise"]["units"] == {"flow": "m³/h"}
    assert clean["normalise"]["dates"] == []
    assert clean["verify"]["single_valued"] == []


NOTES = "{kind: jsonl, name: %s, path: notes.jsonl, lang: en, map: {text: note}}"


def test_other_sources_beside_settings_of_the_former_ones_are_pointed_out(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overlay(
        project,
        "extract: {sources: [" + NOTES % "notes" + "]}\nclean: {normalise: {units: {flow: L/s}}}\n",
    )
    said = capsys.readouterr().out
    assert "! clean.normalise.meta_units is as before, for temperature, pressure" in said
    assert "! clean.normalise.dates is as before, for reviewed, checked; to clear it" in said
    assert "! clean.normalise.units" not in said


def test_sources_are_added_to_those_that_are_there(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = f"extract: {{sources: [{NOTES % 'notes'}, {NOTES % 'uses'}]}}\n"
    overlay(project, sources, "--add-sources")
    after = read(project / "params.yaml")["extract"]["sources"]
    assert [source["name"] for source in after] == [
        "elements",
        "sheets",
        "discoveries",
        "uses",
        "legacy",
        "cards",
        "notes",
    ]
    assert after[3]["path"] == "notes.jsonl"
    assert "is as before" not in capsys.readouterr().out


@pytest.mark.parametrize("text", ["extract: {sources: [{kind: jsonl}]}", "extract: {sources: 3}"])
def test_sources_to_add_that_are_none_are_refused(
    project: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    overlay(project, text + "\n", "--add-sources", code=1)
    assert "extract.sources" in capsys.readouterr().err


@given(MAPPINGS, MAPPINGS)
def test_merging_twice_is_merging_once(target: dict[str, object], laid: dict[str, object]) -> None:
    list(merge(target, laid))
    assert list(merge(target, laid)) == []


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs/profiles").glob("deepseek-*.yaml")), ids=lambda path: path.stem
)
def test_every_profile_fits(project: Path, path: Path) -> None:
    assert main(["overlay", str(path)]) == 0
    assert read(project / "params.yaml")["run"]["device"] == "auto"
