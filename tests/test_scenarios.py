"""The source mappings of scenarios/ fit the settings, and give on the real data what counting without our readers gives."""

import copy
import csv
import re
from pathlib import Path
from typing import Any

import pytest

from stages.core.project.errors import ParamsError
from stages.core.project.params import Run, read_yaml
from tests.beside import SHARED, needs_shared
from tests.scripts import script

ROOT = Path(__file__).parent.parent
SCENARIOS = sorted((ROOT / "scenarios").glob("*.yaml"))


real_data = script("docs/experiments/real_data.py")
OVERLAYS: dict[str, dict[str, Any]] = real_data.overlays()
RECOGNISED = {"ocr_pages", "speech_clips"}
"""Read by OCR and a speech engine, which takes minutes: docs/experiments/real_data.py runs them."""
UNITS = {
    ".": 21 + 543,  # sections of the SOURCE.md, paragraphs of the licences
    "card_transactions": 989,
    "ccda_xml": 34 + 1,  # sections, and the document that carries a PDF
    "clinical_notes_mts": 350,
    "cmrc2018_zh": 539 + 139,  # questions and paragraphs
    "deepseek_configs": 4,
    "json_malformed": 115 + 117,  # entries of what can be read, one for what cannot; lines
    "medquad_xml": 1330 + 7,  # pairs, and documents without one
    "messy_tables": 622,
    "nab_timeseries": 39072,
    "ncbi_disease": 3174 + 98787,  # lines of PubTator, words of CoNLL
    "near_duplicates": 14,
    "pii_sentences": 550,
    "pubmed_xml": 5 + 167,  # abstracts, paragraphs
    "pubmedqa": 500,
    "sql_chinook": 3503,
    "synthea_ehr": 572
    + 261
    + 526
    + 21
    + 183
    + 18
    + 33
    + 417
    + 3 * 184,  # rows of eight tables, entries of bundles
    "web_noise_c4": 120,
    "xml_encodings": 119 + 10,
    "zh_medical_dialogue": 1038,
}
"""Counted by hand (SOURCE.md of each folder) or with wc, xmllint and the like."""
SKIPPED = {"synthea_ehr": 149 + 173 + 165}
"""Entries of bundles that are no single quantity, no blood pressure, no condition: by jq."""
REASONS = {
    "medquad_xml": {
        "missing_field": 175,
        "empty": 7,
    },  # pairs without an answer, documents without a pair
    "zh_medical_dialogue": {"duplicate": 46},
    "ncbi_disease": {"malformed": 2572},  # lines of marked names
    "ccda_xml": {"empty": 1},
}


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_every_mapping_fits_the_settings(path: Path) -> None:
    reading, _ = real_data.settings(read_yaml(path))
    assert len({source.name for source in reading.sources}) == len(reading.sources)
    assert all(source.map.paths() for source in reading.sources)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_typing_error_in_a_mapping_is_refused(path: Path) -> None:
    overlay = read_yaml(path)
    for place, message in (
        (overlay["extract"]["sources"][0], "lnag: unknown; did you mean lang"),
        (overlay, "lnag: no such sect"),
    ):
        broken = copy.deepcopy(overlay)
        (broken if place is overlay else broken["extract"]["sources"][0])["lnag"] = {}
        with pytest.raises(ParamsError, match=re.escape(message)):
            real_data.settings(broken)


def test_every_mapping_is_in_the_list_of_them() -> None:
    listed = re.findall(
        r"^\| \[(\w+\.yaml)\]",
        (ROOT / "scenarios/README.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert sorted(listed) == [path.name for path in SCENARIOS]


def test_every_folder_has_one_mapping() -> None:
    assert len(OVERLAYS) == len(SCENARIOS) + len(
        read_yaml(ROOT / "docs/experiments/real_data.yaml")
    )
    assert set(OVERLAYS) == set(UNITS) | RECOGNISED | {"xml_encodings/bomb"}


@pytest.fixture
def toys(tmp_path: Path) -> Path:
    (tmp_path / "toys").mkdir()
    (tmp_path / "toys/a.csv").write_text('id,text\n1,"iron\nrusts"\n2,tin cries\n3,tin cries\n4\n')
    return tmp_path


TOYS: dict[str, Any] = {
    "extract": {
        "sources": [
            {
                "kind": "csv",
                "name": "toys",
                "path": "toys/*.csv",
                "lang": "en",
                "encoding": "utf-8",
                "delimiter": ",",
                "skip_lines": 0,
            }
            | {"map": {"text": "text"}}
        ]
    }
}


def test_a_line_of_the_table_adds_up(toys: Path, run_params: Run, tmp_path: Path) -> None:
    row = real_data.result_of("toys", TOYS, toys, run_params)
    assert {name: row[name] for name in real_data.COLUMNS[:-1]} == {
        "folder": "toys", "files": 1, "units": 4, "counted": 4, "skipped": 0, "read": 4, "kept": 2, "rejected": 2,
        "reasons": "duplicate 1, malformed 1",
    }  # fmt: skip
    assert real_data.adds_up(row)
    assert not real_data.adds_up(row | {"counted": 5})
    assert not real_data.adds_up(row | {"kept": 3})
    assert not real_data.adds_up(row | {"skipped": 1})
    recognised = {name: value for name, value in row.items() if name != "counted"}
    assert real_data.adds_up(recognised)
    assert not real_data.adds_up(recognised | {"files": 5})
    real_data.write([row], tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(newline="") as file:
        assert next(csv.DictReader(file))["units"] == "4"
    real_data.write([row | {"units": 1234}], tmp_path / "table.md")
    assert (
        "| toys | 1 | 1,234 | 4 | 0 | 4 | 2 | 2 | duplicate 1, malformed 1 |"
        in (tmp_path / "table.md").read_text()
    )


def test_a_folder_that_is_refused_shows_the_message(toys: Path, run_params: Run) -> None:
    (toys / "toys/a.csv").write_text("id,text\n1,\n")
    row = real_data.result_of("toys", TOYS, toys, run_params)
    assert row["reasons"] == (
        "refused: extract: toys: not one of 1 units gives a record (none of the mapped columns has a value); "
        "its columns are id, text; mend `map` in params.yaml"
    )
    assert real_data.adds_up(row)


@pytest.mark.slow
@needs_shared
@pytest.mark.parametrize("folder", UNITS)
def test_real_data_adds_up(folder: str, run_params: Run) -> None:
    row = real_data.result_of(folder, OVERLAYS[folder], SHARED, run_params)
    assert row["units"] == row["counted"] == UNITS[folder], row
    assert row["read"] == row["kept"] + row["rejected"]
    assert row["skipped"] == row["others"] == SKIPPED.get(folder, 0)
    for reason, count in REASONS.get(folder, {}).items():
        assert f"{reason} {count:,}" in row["reasons"]


@needs_shared
def test_a_real_bomb_is_refused_as_a_whole(run_params: Run) -> None:
    row = real_data.result_of(
        "xml_encodings/bomb", OVERLAYS["xml_encodings/bomb"], SHARED, run_params
    )
    assert "lol_classic.xml declares entities, which are refused" in row["reasons"]
    assert "units" not in row
