"""Places that no unit has: refused with the nearest name, or a warning for what JSON and XML may leave out."""

import json
from pathlib import Path
from typing import Any

import pytest

from stages.core.project.errors import InputError
from tests.stages.extract.test_extract import database, run, source

FACT = {"subject": "name", "facts": [{"attribute": "hardness", "value": "hardness"}]}


def table(tmp_path: Path, **keys: Any) -> dict[str, Any]:
    (tmp_path / "a.csv").write_text("name,hardness,unit,Date of test\niron,4,Mohs,2024-01-02\n")
    return source("csv", "a.csv", map=FACT | keys)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"meta": {"d": "date_of_test"}}, r"no column date_of_test; did you mean Date of test\? \(map\.meta\.d\)"),
        ({"meta": {"d": "price"}}, r"no column price \(map\.meta\.d\); its columns are name, hardness, unit, Date of"),
        ({"text": "note"}, r"no column note"),
        ({"subject": ["name", "modell"]}, r"no column modell \(map\.subject\)"),
        ({"attribute": "unit", "value": "Hardness"}, r"no column Hardness; did you mean hardness\? \(map\.value\)"),
        ({"facts": [{"attribute": "h", "value": "hardness", "unit": "units"}]},
         r"no column units; did you mean unit\? \(map\.facts\.0\.unit\)"),
        ({"question": "q", "answer": "a"}, r"no column q \(map\.question\); no column a \(map\.answer\); its columns"),
    ],
)  # fmt: skip
def test_a_table_without_a_column(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"extract: toy: {message}"):
        run(tmp_path, table(tmp_path, **keys))


def test_the_former_output_stays_where_a_column_is_missing(tmp_path: Path) -> None:
    rows, _, _ = run(tmp_path, table(tmp_path))
    with pytest.raises(InputError, match="no column x"):
        run(tmp_path, table(tmp_path, text="x"))
    assert (tmp_path / "out/records.parquet").exists()
    assert len(rows) == 1


def test_a_database_and_a_document_have_columns_too(tmp_path: Path) -> None:
    database(tmp_path / "a.db", [(1, "iron", "symbol", "Fe", None)])
    with pytest.raises(InputError, match=r"no column Value; did you mean value\?"):
        run(tmp_path, source("sql", "a.db", map={"subject": "name", "text": "Value"}))
    (tmp_path / "a.md").write_text("# Iron\n\nIt rusts.\n")
    document = {"kind": "document", "name": "md", "path": "a.md", "lang": "en"}
    with pytest.raises(InputError, match=r"no column body \(map\.text\); its columns are title, "):
        run(tmp_path, document | {"map": {"text": "body"}})


def test_a_column_of_one_of_several_files(tmp_path: Path) -> None:
    (tmp_path / "2023.csv").write_text("name,hardness\niron,4\n")
    (tmp_path / "2024.csv").write_text("name,hardness,day\ntin,1,Monday\n")
    mapping = FACT | {"meta": {"day": "day"}}
    rows, _, _ = run(tmp_path, source("csv", "*.csv", map=mapping))
    assert [json.loads(row["meta"]) for row in rows] == [{}, {"day": "Monday"}]
    with pytest.raises(InputError, match=r"no column dya; did you mean day\?"):
        run(tmp_path, source("csv", "*.csv", map=FACT | {"meta": {"day": "dya"}}))


def nested(tmp_path: Path, mapping: dict[str, Any], **keys: Any) -> dict[str, Any]:
    items = [
        {"name": "iron", "hardness": 4, "by": {"name": "Mohs"}, "note": None},
        {"name": "tin", "hardness": 1, "Stop": "2001"},
    ]
    (tmp_path / "a.json").write_text(json.dumps(items))
    return source("json", "a.json", map=FACT | mapping, **keys)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"subject": "nam"}, r"no path nam; did you mean name\? \(map\.subject\)"),
        ({"subject": "title"}, r"no path title \(map\.subject\); there are Stop, by, hardness, name, note; mend"),
        ({"text": "remark"}, r"no path remark \(map\.text\); there are"),
        ({"meta": {"by": "by.Name"}}, r"no path by\.Name; did you mean by\.name\? \(map\.meta\.by\)"),
        ({"facts": [{"attribute": "h", "value": "hardnes"}]}, r"no path hardnes; did you mean hardness\?"),
    ],
)  # fmt: skip
def test_json_without_a_path(tmp_path: Path, mapping: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(tmp_path, nested(tmp_path, mapping))


def test_what_json_may_leave_out_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = [*FACT["facts"], {"attribute": "colour", "value": "colour", "unit": "dye"}]  # type: ignore[misc]
    mapping = {"meta": {"page": "reference.page", "note": "note"}, "facts": facts}
    rows, _, _ = run(tmp_path, nested(tmp_path, mapping))
    assert len(rows) == 2
    printed = capsys.readouterr().out
    assert (
        "extract: toy: warning: no unit has this: no path reference.page (map.meta.page)" in printed
    )
    assert "no path colour (map.facts.1.value)" in printed
    assert "note (map" not in printed  # it is there, and empty


def test_a_condition_on_what_no_unit_has(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no path stop; did you mean Stop\? \(where\.stop\)"):
        run(tmp_path, nested(tmp_path, {}, where={"stop": None}))
    rows, _, _ = run(tmp_path, nested(tmp_path, {}, where={"abatement": None}))
    assert len(rows) == 2


def test_a_name_that_the_mapping_uses_is_no_typing_error(tmp_path: Path) -> None:
    items = [{"name": "a", "start": "1990", "hardness": 2}]
    (tmp_path / "a.json").write_text(json.dumps(items))
    mapping = FACT | {"meta": {"start": "start", "star": "star"}}
    rows, _, _ = run(tmp_path, source("json", "a.json", map=mapping))
    assert len(rows) == 1


def test_xml_without_a_path(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(
        "<r><box><label>B</label><row id='7'><name>iron</name><hardness scale='Mohs'>4</hardness></row></box></r>"
    )
    for path, near in (
        ("@Id", "@id"), ("hardness@scal", "hardness@scale"), ("bx/label", "box/label"), ("box/lable", "box/label"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=f"no path {path}; did you mean {near}"):
            run(tmp_path, source("xml", "a.xml", map=FACT | {"meta": {"x": path}}))


def test_the_key_of_an_entry_is_offered(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"iron": {"hardness": 4}}')
    with pytest.raises(
        InputError,
        match=r"no path name \(map\.subject\); the name of an entry in its object is \(key\)",
    ):
        run(tmp_path, source("json", "a.json", map=FACT))
