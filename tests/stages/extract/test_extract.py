"""extract: no unit vanishes, ids are stable, hostile and broken input is set aside or refused with what, where, next step."""

import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages import extract
from stages.core.project.errors import InputError, ParamsError
from stages.core.project.params import Run, parse
from stages.core.records import record
from tests.beside import SHARED, needs_shared

FACT = {"subject": "name", "attribute": "property", "value": "value", "unit": "unit"}


def source(kind: str, path: str, **settings: Any) -> dict[str, Any]:
    defaults = {
        "sql": {
            "query": "SELECT * FROM facts ORDER BY id",
            "table": "facts",
            "key": "id",
            "map": FACT,
        },
        "csv": {"encoding": "utf-8", "delimiter": ",", "skip_lines": 0, "map": FACT},
        "json": {"items": "", "map": FACT},
        "jsonl": {"map": FACT},
        "xml": {"element": "row", "map": FACT},
    }
    return {"kind": kind, "name": "toy", "path": path, "lang": "en"} | defaults[kind] | settings


def run(
    root: Path, *sources: dict[str, Any], seed: int = 1, names: str = "fold"
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], Any]:
    problems: list[str] = []
    params = parse({"sources": list(sources), "names": names}, extract.Params, "extract", problems)
    assert params is not None, problems
    out = root / "out"
    extract.run(params, Run(seed=seed, threads=1, isa="avx2", device="cpu"), root, out)
    rejected = record.read(out / "rejected.parquet", record.REJECTED)
    return (
        record.read(out / "records.parquet"),
        rejected,
        json.loads((out / "sources.json").read_text()),
    )


def database(path: Path, rows: list[tuple[Any, ...]]) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE facts (id INTEGER PRIMARY KEY, name TEXT, property TEXT, value TEXT, unit TEXT)"
        )
        connection.executemany("INSERT INTO facts VALUES (?, ?, ?, ?, ?)", rows)
    connection.close()


def test_database_and_its_dump_give_the_same_records(tmp_path: Path) -> None:
    database(
        tmp_path / "a.db",
        [(1, "iron", "melting point", "1538", "°C"), (2, "neon", "symbol", "Ne", None)],
    )
    connection = sqlite3.connect(tmp_path / "a.db")
    (tmp_path / "a.sql").write_text(
        "\n".join(
            line
            for line in connection.iterdump()
            if "TRANSACTION" not in line and "COMMIT" not in line
        )
    )
    connection.close()
    live, _, _ = run(tmp_path, source("sql", "a.db"))
    dump, _, _ = run(tmp_path, source("sql", "a.sql"))
    assert [(row["subject"], row["value"], row["unit"]) for row in live] == [
        ("iron", "1538", "°C"),
        ("neon", "Ne", None),
    ]
    assert [row["locator"] for row in dump] == ["a.sql#facts/1", "a.sql#facts/2"]
    assert [row["fact"] for row in live] == [row["fact"] for row in dump]


def test_database_is_opened_read_only(tmp_path: Path) -> None:
    database(tmp_path / "a.db", [(1, "iron", "symbol", "Fe", None)])
    with pytest.raises(
        InputError, match="extract: toy: not authorized: a query may only read; check the database"
    ):
        run(tmp_path, source("sql", "a.db", query="DELETE FROM facts RETURNING id"))


@pytest.mark.parametrize(
    ("dump", "message"),
    [
        (
            "CREATE TABLE facts (id);\nINSERT INTO nowhere VALUES (1);\n",
            r"a\.sql:2: no such table: nowhere; mend the dump there",
        ),
        (
            "ATTACH '/etc/passwd' AS x;\n",
            r"a\.sql:1: not authorized: a dump may only make tables and fill them; mend the dump",
        ),
        (
            "CREATE TABLE facts (id);\nINSERT INTO facts",
            r"a\.sql:2: the dump ends inside a statement; is the file whole\?",
        ),
    ],
)
def test_dump_that_cannot_be_loaded(tmp_path: Path, dump: str, message: str) -> None:
    (tmp_path / "a.sql").write_text(dump)
    with pytest.raises(InputError, match=message):
        run(tmp_path, source("sql", "a.sql"))


def test_csv_rows_are_set_aside_one_by_one(tmp_path: Path) -> None:
    lines = [
        "title",
        "name;property;value;unit",
        "iron;symbol;Fe;",
        "iron;symbol",
        "zinc;density;7.14;g/cm³",
        ";symbol;X;",
        "",
    ]
    content = "\r\n".join(lines).encode("cp1252") + b"tin;symbol;S\x81;\r\n"
    (tmp_path / "a.csv").write_bytes(content)
    rows, rejected, report = run(
        tmp_path, source("csv", "a.csv", encoding="cp1252", delimiter=";", skip_lines=1)
    )
    assert [(row["subject"], row["unit"]) for row in rows] == [("iron", None), ("zinc", "g/cm³")]
    assert [(row["locator"], row["reason"]) for row in rejected] == [
        ("a.csv#L4", "malformed"),
        ("a.csv#L6", "missing_field"),
        ("a.csv#L7", "encoding"),
    ]
    assert rejected[0]["text"] == "iron;symbol"
    assert report == [
        {
            "name": "toy",
            "path": "a.csv",
            "kind": "csv",
            "priority": 1,
            "files": 1,
            "units": 5,
            "records": 2,
            "rejected": 3,
        }
    ]


def test_utf16_that_does_not_decode_is_refused_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"name,value\n")
    with pytest.raises(
        InputError, match=r"a\.csv: .*; set the source's `encoding` to what the file is written in"
    ):
        run(tmp_path, source("csv", "a.csv", encoding="utf-16"))


def test_unknown_encoding(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name\n")
    with pytest.raises(InputError, match="unknown encoding: klingon; set the source's `encoding`"):
        run(tmp_path, source("csv", "a.csv", encoding="klingon"))


def test_wide_json_items_give_one_record_a_fact(tmp_path: Path) -> None:
    document = {
        "list": [{"n": {"x": "iron"}, "year": 1700, "by": "nobody"}, {"n": {"x": "tin"}}, 7]
    }
    (tmp_path / "a.json").write_text(json.dumps(document))
    mapping = {
        "subject": "n.x",
        "facts": [{"attribute": "year", "value": "year"}, {"attribute": "finder", "value": "by"}],
    }
    rows, rejected, report = run(tmp_path, source("json", "a.json", items="list", map=mapping))
    assert [(row["locator"], row["value"]) for row in rows] == [
        ("a.json#/list/0@year", "1700"),
        ("a.json#/list/0@finder", "nobody"),
    ]
    assert [row["reason"] for row in rejected] == ["missing_field", "malformed"]
    assert report[0]["units"] == 3


@pytest.mark.parametrize(
    ("content", "items", "message"),
    [
        ('{"a": [1, 2', "a", "is not JSON: .*; mend the file"),
        ('{"a": 3}', "a", "has no list at 'a'; mend `items` in params.yaml"),
        ('{"a": NaN}', "a", "NaN is not JSON"),
    ],
)
def test_json_that_cannot_be_read(tmp_path: Path, content: str, items: str, message: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match=message):
        run(tmp_path, source("json", "a.json", items=items))


def test_broken_json_lines_are_set_aside(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"name": "iron", "property": "symbol", "value": "Fe"}\n{"name": "ti\n\n[1]\n'
    )
    rows, rejected, _ = run(tmp_path, source("jsonl", "a.jsonl"))
    assert [row["locator"] for row in rows] == ["a.jsonl#L1"]
    assert [(row["locator"], row["reason"]) for row in rejected] == [
        ("a.jsonl#L2", "malformed"),
        ("a.jsonl#L4", "malformed"),
    ]


XML = "<rows><row><name>iron</name><property>symbol</property><value unit='x'>Fe</value></row>"


def test_xml_after_a_syntax_error_is_one_rejected_unit(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(XML + "<row><name>tin</row></rows>")
    rows, rejected, _ = run(tmp_path, source("xml", "a.xml"))
    assert [row["subject"] for row in rows] == ["iron"]
    assert [row["reason"] for row in rejected] == ["malformed"]
    assert "cannot be read from here on" in rejected[0]["evidence"]


def test_xml_attributes_and_several_elements_of_a_name(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(XML.replace("</row>", "<value>2</value></row></rows>"))
    rows, _, _ = run(tmp_path, source("xml", "a.xml", map=FACT | {"unit": "value@unit"}))
    assert [(row["value"], row["unit"]) for row in rows] == [("Fe", "x")]


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE r [<!ENTITY a "b">]>',
        '<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
    ],
)
def test_entities_are_refused(tmp_path: Path, doctype: str) -> None:
    (tmp_path / "a.xml").write_text(doctype + XML + "</rows>")
    with pytest.raises(
        InputError,
        match="declares entities, which are refused; write out what they stand for and remove them",
    ):
        run(tmp_path, source("xml", "a.xml"))


def test_question_answer_and_text(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"q": "Why?", "a": "Because.", "t": "Some text."}\n{"q": "Why?"}\n'
    )
    rows, rejected, _ = run(
        tmp_path, source("jsonl", "a.jsonl", map={"question": "q", "answer": "a", "text": "t"})
    )
    assert sorted((row["kind"], row["question"]) for row in rows) == [
        ("qa", "Why?"),
        ("statement", None),
    ]
    assert len(rejected) == 1


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        (
            "missing.csv",
            InputError,
            r"toy: .*missing\.csv is not there; put the file there or mend params.yaml",
        ),
        (
            "../x.csv",
            ParamsError,
            r"extract.sources.0.path: '../x.csv' leaves .*; sources stand below it",
        ),
        (
            "empty.csv",
            InputError,
            r"toy: .*empty\.csv holds nothing; check the source and its mapping",
        ),
    ],
)
def test_sources_that_are_not_there(
    tmp_path: Path, path: str, error: type[Exception], message: str
) -> None:
    (tmp_path / "empty.csv").write_text("name,property,value,unit\n")
    with pytest.raises(error, match=message):
        run(tmp_path, source("csv", path))


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name,property,amount,unit\niron,symbol,Fe,\nneon,symbol,Ne,\n")
    message = r"toy: no column value \(map\.value\); its columns are name, property, amount, unit; mend params\.yaml"
    with pytest.raises(InputError, match=message):
        run(tmp_path, source("csv", "a.csv"))
    (tmp_path / "a.jsonl").write_text('{"name": "iron", "attribute": "symbol"}\n')
    with pytest.raises(
        InputError,
        match=r"toy: no path property \(map\.attribute\); there are attribute, name; no path value \(map\.value\)",
    ):
        run(tmp_path, source("jsonl", "a.jsonl"))


def test_a_pattern_names_several_files(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "b.json").write_text('[{"name": "neon", "property": "symbol", "value": "Ne"}]')
    (tmp_path / "deep/a.json").write_text('[{"name": "iron", "property": "symbol", "value": "Fe"}]')
    (tmp_path / "deep/broken.json").write_text("[{")
    (tmp_path / "notes.txt").write_text("no JSON")
    rows, rejected, report = run(tmp_path, source("json", "**/*.json"))
    assert [row["locator"] for row in rows] == ["b.json#/0", "deep/a.json#/0"]
    assert [(row["locator"], row["reason"]) for row in rejected] == [
        ("deep/broken.json", "unreadable")
    ]
    assert "is not JSON" in rejected[0]["evidence"]
    assert (report[0]["files"], report[0]["units"]) == (3, 3)


def test_a_file_of_a_pattern_without_any_unit_is_one_rejected_record(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"name": "neon", "property": "symbol", "value": "Ne"}]')
    (tmp_path / "b.json").write_text("[]")
    rows, rejected, report = run(tmp_path, source("json", "*.json"))
    assert len(rows) == 1
    assert [(row["locator"], row["reason"]) for row in rejected] == [("b.json", "empty")]
    assert rejected[0]["evidence"] == "nothing in this file is a unit of the source"
    assert (report[0]["files"], report[0]["units"]) == (2, 2)
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(
        InputError, match=r"\*\.json holds nothing; check the source and its mapping"
    ):
        run(tmp_path, source("json", "*.json"))


def test_a_pattern_that_matches_nothing(tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match=r"toy: .*\*\.json matches no file; put the file there or mend params\.yaml",
    ):
        run(tmp_path, source("json", "*.json"))


def test_a_pattern_does_not_follow_a_link_out_of_the_root(tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text("[]")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/a.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(
        ParamsError,
        match=r"extract\.sources\.0\.path: '\*\.json' leaves .*; sources stand below it",
    ):
        run(tmp_path / "root", source("json", "*.json"))


def test_two_sources_of_one_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name\n")
    with pytest.raises(ParamsError, match="the name 'toy' is used 2 times"):
        run(tmp_path, source("csv", "a.csv"), source("csv", "a.csv"))


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=20))
@settings(deadline=None)  # the first run loads polars
def test_any_bytes_are_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]
) -> None:
    root = tmp_path_factory.mktemp("bytes")
    (root / "a.jsonl").write_bytes(
        b'{"name": "a", "property": "b", "value": "c"}\n' + b"\n".join(lines)
    )
    rows, rejected, report = run(root, source("jsonl", "a.jsonl"))
    assert report[0]["units"] == len({row["locator"].split("@")[0] for row in rows + rejected})
    assert (
        len(rows) + len(rejected)
        == report[0]["records"] + report[0]["rejected"]
        >= report[0]["units"]
    )


def test_ids_do_not_change_when_the_text_does(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name,property,value,unit\niron,symbol,Fe,\n")
    before, _, _ = run(tmp_path, source("csv", "a.csv"))
    (tmp_path / "a.csv").write_text("name,property,value,unit\niron,symbol,XX,\n")
    after, _, _ = run(tmp_path, source("csv", "a.csv"))
    assert before[0]["id"] == after[0]["id"]
    assert before[0]["fact"] == after[0]["fact"]
    assert before[0]["text"] != after[0]["text"]


@needs_shared
def test_real_question_answer_xml() -> None:
    files = sorted((SHARED / "medquad_xml").glob("*/*.xml"))[:60]
    assert files
    mapping = {"question": "Question", "answer": "Answer"}
    counts: Counter[str] = Counter()
    for path in files:
        problems: list[str] = []
        params = parse(
            {"sources": [source("xml", path.name, element="QAPair", map=mapping)]},
            extract.Params,
            "x",
            problems,
        )
        assert params is not None
        for unit in params.sources[0].units(path):
            for row in extract.records_of(unit, params.sources[0], path.name):
                counts[row.get("reason", row["kind"])] += 1
    assert counts["qa"] > 60
    assert set(counts) <= {"qa", "missing_field"}


@needs_shared
def test_real_broken_json_never_crashes(tmp_path: Path) -> None:
    outcomes: Counter[str] = Counter()
    for path in sorted((SHARED / "json_malformed").rglob("*.json")):
        (tmp_path / "a.json").write_bytes(path.read_bytes())
        try:
            run(tmp_path, source("json", "a.json"))
            outcomes["read"] += 1
        except InputError:
            outcomes["refused"] += 1
    assert outcomes["refused"] > 10


@needs_shared
def test_real_xml_bombs_are_refused(tmp_path: Path) -> None:
    bombs = sorted(
        path for path in (SHARED / "xml_encodings" / "bomb").rglob("*") if path.is_file()
    )
    assert bombs
    for path in bombs:
        (tmp_path / "a.xml").write_bytes(path.read_bytes())
        try:
            rows, rejected, _ = run(tmp_path, source("xml", "a.xml", element="*"))
            assert all(row["reason"] == "malformed" for row in rejected) or rows == []
        except InputError:
            continue


def test_declared_forms_reach_the_next_stage(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"name": "a", "x": 1.250, "y": "1,250"}\n')
    mapping = {
        "subject": "name",
        "facts": [
            {"attribute": "x", "value": "x", "unit_is": "kg"},
            {"attribute": "y", "value": "y"},
        ],
    }
    plain = source("jsonl", "a.jsonl", map=mapping)
    _, _, report = run(tmp_path, plain)
    assert {"numbers", "lines"} & report[0].keys() == set()
    declared = plain | {"decimal": ",", "thousands": ".", "lines": "keep"}
    rows, _, report = run(tmp_path, declared)
    assert report[0]["numbers"] == {"decimal": ",", "thousands": "."}
    assert report[0]["lines"] == "keep"
    # JSON's own number has the sign of the texts, so that both are read alike.
    assert [(row["value"], row["unit"]) for row in rows] == [("1,250", "kg"), ("1,250", None)]
    database(tmp_path / "a.db", [(1, "iron", "mass", "x", None)])
    query = "SELECT id, name, property, 55.85 AS value, unit FROM facts"
    rows, _, report = run(tmp_path, source("sql", "a.db", query=query, decimal=","))
    assert (rows[0]["value"], report[0]["numbers"]) == ("55,85", {"decimal": ","})
    with pytest.raises(
        ParamsError, match=r"sources\.0\.thousands: the same sign as `decimal`; mend one"
    ):
        run(tmp_path, plain | {"decimal": ",", "thousands": ","})


@pytest.mark.parametrize("form", [{"decimal": ";"}, {"thousands": "_"}, {"lines": True}])
def test_what_is_no_form(form: dict[str, Any]) -> None:
    problems: list[str] = []
    settings = source("csv", "a.csv", **form)
    assert parse({"sources": [settings]}, extract.Params, "extract", problems) is None
    assert next(iter(form)) in problems[0]


def test_a_subject_of_two_places(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("brand,model,watt\nAcme,Z1,5\nAcme,,6\n,,7\n")
    mapping = {"subject": ["brand", "model"], "facts": [{"attribute": "power", "value": "watt"}]}
    rows, rejected, _ = run(tmp_path, source("csv", "a.csv", map=mapping))
    assert [row["subject"] for row in rows] == ["Acme Z1"]
    assert [(row["reason"], row["evidence"]) for row in rejected] == [
        ("missing_field", "no subject and nothing at model"),
        ("missing_field", "no subject"),
    ]


def test_a_cell_without_json_rejects_its_unit(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('name,more\niron,"{""h"": 4.50}"\ntin,none\n')
    mapping = {"subject": "name", "facts": [{"attribute": "h", "value": "more.(json).h"}]}
    where = {"more.(json).h": 4.5}
    for condition in ({}, {"where": where}):
        rows, rejected, report = run(tmp_path, source("csv", "a.csv", map=mapping, **condition))
        assert [row["value"] for row in rows] == ["4.50"]
        assert [row["reason"] for row in rejected] == ["malformed"]
        assert report[0]["units"] == 2


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "is no path of a file"), (".", "is no path of a file"), (" a.json", "is no path of a file"),
        ("a\0.json", "is no path of a file"), ("/etc/hostname", "begins at the root of the machine"),
        ("/etc/*.json", "begins at the root of the machine"), ("a**/x.json", r"has `\*\*` beside other signs"),
        ("**", r"ends with `\*\*`, which names folders"), ("a/**", r"ends with `\*\*`"), ("*/../../*", "leaves"),
    ],
)  # fmt: skip
def test_paths_that_name_no_files(tmp_path: Path, path: str, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        run(tmp_path, source("json", path))


def test_links_that_lead_to_each_other(tmp_path: Path) -> None:
    (tmp_path / "a.json").symlink_to(tmp_path / "b.json")
    (tmp_path / "b.json").symlink_to(tmp_path / "a.json")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "x.json").write_text('[{"name": "neon", "property": "symbol", "value": "Ne"}]')
    with pytest.raises(InputError, match=r"a\.json is not there"):
        run(tmp_path, source("json", "a.json"))
    rows, _, _ = run(tmp_path, source("json", "**/*.json"))
    assert [row["locator"] for row in rows] == ["x.json#/0"]


def test_a_file_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.json").write_text("[]")

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(
        InputError, match=r"toy: .*a\.json cannot be read: Permission denied; mend or"
    ):
        run(tmp_path, source("json", "a.json"))


def test_a_source_that_gives_no_record_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.jsonl").write_text("{\n[1]\n{]\n")
    run(tmp_path, source("jsonl", "a.jsonl"))
    assert (
        "extract: toy: warning: not one of 3 units gives a record: malformed 3 (the first: Expecting"
    ) in capsys.readouterr().out
    (tmp_path / "a.jsonl").write_text('{\n{"name": "a", "property": "b", "value": "c"}\n')
    run(tmp_path, source("jsonl", "a.jsonl"))
    assert "gives a record" not in capsys.readouterr().out


def test_an_element_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text("<rows><line/></rows>")
    message = (
        r"a\.xml holds nothing \(no element lien; did you mean line\?\); check the source and its"
    )
    with pytest.raises(InputError, match=message):
        run(tmp_path, source("xml", "a.xml", element="lien"))
    (tmp_path / "b.xml").write_text("<rows><lien>x</lien></rows>")
    settings = {"element": "lien", "map": {"text": "."}}
    _, rejected, _ = run(tmp_path, source("xml", "*.xml", **settings))
    assert [(row["locator"], row["reason"], row["evidence"]) for row in rejected] == [
        ("a.xml", "empty", "no element lien; did you mean line?")
    ]


@pytest.mark.parametrize(
    ("cell", "reason", "evidence"),
    [
        ("4\\u00005", "malformed", "hardness holds a NUL character (U+0000), which is no text"),
        ("4\\ufffd", "encoding", "hardness holds U+FFFD, which stands for a character that could not be decoded"),
        ("5 \\u0080", "encoding", "hardness holds the control character U+0080, which is no text; set the source's `encoding`"),
    ],
)  # fmt: skip
def test_a_text_with_a_lost_character_is_set_aside(
    tmp_path: Path, cell: str, reason: str, evidence: str
) -> None:
    rows = f'{{"name": "iron", "hardness": "{cell}"}}\n{{"name": "tin", "hardness": 1}}\n'
    (tmp_path / "a.jsonl").write_text(rows)
    mapping = {"subject": "name", "facts": [{"attribute": "hardness", "value": "hardness"}]}
    kept, rejected, _ = run(tmp_path, source("jsonl", "a.jsonl", map=mapping))
    assert [row["subject"] for row in kept] == ["tin"]
    (row,) = rejected
    assert row["reason"] == reason
    assert row["evidence"].startswith(evidence)


def test_a_lost_character_that_nothing_uses_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"name": "iron", "hardness": 4, "note": "\\ufffd"}\n')
    mapping = {"subject": "name", "facts": [{"attribute": "hardness", "value": "hardness"}]}
    kept, rejected, _ = run(tmp_path, source("jsonl", "a.jsonl", map=mapping))
    assert (len(kept), rejected) == (1, [])


def test_names_of_keys_in_place_of_values_are_a_header(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"name": "Name", "h": "h"}\n{"name": "h", "h": 4}\n{"name": "name", "h": 5}\n'
    )
    mapping = {"subject": "name", "facts": [{"attribute": "hardness", "value": "h"}]}
    kept, rejected, _ = run(tmp_path, source("jsonl", "a.jsonl", map=mapping))
    assert [row["value"] for row in kept] == ["4", "5"]
    assert [row["reason"] for row in rejected] == ["repeated_header"]


def test_a_source_of_one_fault_throughout_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.jsonl").write_text("{'name': 'iron'}\n{'name': 'tin'}\n")
    run(tmp_path, source("jsonl", "a.jsonl", map={"subject": "name", "text": "name"}))
    assert "warning: not one of 2 units gives a record: malformed 2" in capsys.readouterr().out
