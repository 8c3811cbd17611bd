"""Delimited text: whatever a writer writes comes back, and a row that cannot be read is one rejected unit at its own line."""

import csv
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages import extract
from stages.core.project.errors import InputError
from stages.core.project.params import parse
from stages.extract.kinds.delimited import Csv
from stages.extract.unit import Mapping, Unit

HEAD = "name,property,value\r\n"


def units(path: Path, **settings: Any) -> list[Unit]:
    shape = {"encoding": "utf-8", "delimiter": ",", "skip_lines": 0} | settings
    return list(
        Csv(
            kind="csv", name="toy", path=path.name, lang="en", map=Mapping(text="name"), **shape
        ).units(path)
    )


def read(tmp_path: Path, content: str | bytes, **settings: Any) -> list[Unit]:
    path = tmp_path / "a.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return units(path, **settings)


def told(found: list[Unit]) -> list[tuple[str, Any]]:
    """Place and first cell, or place and reason."""
    return [(unit.position, unit.reason or (unit.cells or {})["name"]) for unit in found]


CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
LINES = st.lists(CELLS, min_size=2, max_size=2)


ENDS = st.sampled_from(["\r\n", "\n"])


@given(
    st.lists(LINES, max_size=12),
    st.sampled_from(",;\t|"),
    ENDS,
    st.sampled_from(["utf-8", "utf-16"]),
)
def test_what_csv_writes_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[str]],
    delimiter: str,
    end: str,
    encoding: str,
) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    written(
        path,
        rows_of(rows),
        encoding=encoding,
        delimiter=delimiter,
        lineterminator=end,
        quoting=csv.QUOTE_ALL,
    )
    found = units(path, delimiter=delimiter, encoding=encoding)
    assert [unit.reason for unit in found] == [""] * len(rows)
    assert [list((unit.cells or {}).values()) for unit in found] == rows_of(rows)


@given(st.lists(LINES, max_size=12))
def test_with_few_quotation_marks_it_comes_back_but_for_blanks_in_front(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    written(path, rows_of(rows))
    found = [[cell.lstrip(" ") for cell in (unit.cells or {}).values()] for unit in units(path)]
    assert found == [[cell.lstrip(" ") for cell in row] for row in rows_of(rows)]


def written(path: Path, rows: list[list[str]], encoding: str = "utf-8", **dialect: Any) -> None:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, **dialect).writerows([["a", "b", "name"], *rows])


def rows_of(rows: list[list[str]]) -> list[list[str]]:
    return [[*row, f"row {number}"] for number, row in enumerate(rows)]


@given(st.lists(LINES, min_size=1, max_size=8), st.integers(0, 7))
def test_rows_stand_where_their_first_line_does(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], chosen: int
) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    before, row = rows_of(rows)[: chosen % len(rows)], ["x", "y", "name of it"]
    written(path, [*before, row], quoting=csv.QUOTE_ALL)
    last = units(path)[-1]
    assert list((last.cells or {}).values()) == row
    assert last.position == f"L{path.read_bytes().count(10)}"


def test_a_cell_may_hold_line_breaks(tmp_path: Path) -> None:
    found = read(tmp_path, HEAD + 'iron,note,"one\r\n\r\ntwo, ""three"""\r\ntin,note,last\r\n')
    assert told(found) == [("L2", "iron"), ("L5", "tin")]
    assert found[0].get("value") == 'one\r\n\r\ntwo, "three"'
    assert found[0].raw == 'iron,note,"one\r\n\r\ntwo, ""three"""'


def test_a_row_of_several_lines_with_too_few_fields_is_one_rejected_unit(tmp_path: Path) -> None:
    found = read(tmp_path, HEAD + 'iron,"one\r\ntwo"\r\ntin,note,last\r\n')
    assert told(found) == [("L2", "malformed"), ("L4", "tin")]
    assert found[0].evidence == "2 fields, the header has 3"


@pytest.mark.parametrize(
    "stray",
    ['iron,note,"one', 'iron,"note,one', '"iron,note,one'],
)
def test_a_stray_quotation_mark_costs_its_own_line_alone(tmp_path: Path, stray: str) -> None:
    found = read(
        tmp_path,
        HEAD + stray + '\r\nzinc,note,plain\r\ntin,note,"with, comma"\r\nlead,note,last\r\n',
    )
    assert told(found) == [("L2", "malformed"), ("L3", "zinc"), ("L4", "tin"), ("L5", "lead")]
    assert "a cell does not end as one" in found[0].evidence
    assert found[0].raw == stray


def test_a_quotation_mark_that_is_never_closed(tmp_path: Path) -> None:
    found = read(tmp_path, HEAD + 'iron,note,"one\r\ntin,note,two\r\nlead,note,"three')
    assert told(found) == [("L2", "malformed"), ("L3", "tin"), ("L4", "malformed")]


def test_text_behind_a_closed_cell_is_kept_as_before(tmp_path: Path) -> None:
    assert read(tmp_path, HEAD + '"iron" ore,note,x\r\n')[0].get("name") == "iron ore"


def test_a_carriage_return_alone_ends_no_line(tmp_path: Path) -> None:
    assert told(read(tmp_path, HEAD + "iron,no\rte,x\r\ntin,note,y\r\n")) == [
        ("L2", "malformed"),
        ("L3", "tin"),
    ]


def test_a_cell_longer_than_csv_allows_is_set_aside(tmp_path: Path) -> None:
    found = read(tmp_path, HEAD + f"iron,note,{'x' * 140_000}\r\ntin,note,y\r\n")
    assert told(found) == [("L2", "malformed"), ("L3", "tin")]
    assert "field larger than field limit" in found[0].evidence


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """A row of several lines, and a mark that opens a cell and is never closed, in a file of eight megabytes."""
    long = "x" * 500
    row = f'iron,note,"one {long}\r\ntwo"\r\n'
    path = tmp_path / "a.csv"
    path.write_text(
        HEAD + row * 8_000 + 'iron,note,"one\r\n' + f"tin,note,{long}\r\n" * 8_000, newline=""
    )
    source = Csv("csv", "toy", "a.csv", "en", Mapping(text="name"))
    tracemalloc.start()
    count = sum(1 for _ in source.units(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 16_001
    assert peak < 1_500_000


def test_a_line_of_another_encoding_spoils_its_row_only(tmp_path: Path) -> None:
    content = (HEAD + 'iron,note,"one\r\n').encode() + b'tw\xff"\r\n' + b"tin,note,x\r\n"
    found = read(tmp_path, content)
    assert told(found) == [("L2", "encoding"), ("L4", "tin")]
    assert found[0].evidence == "not utf-8"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path, encoding: str) -> None:
    content = ("\ufeff" + HEAD + "铁,符号,Fe\r\n").encode(
        "utf-16-le" if "16" in encoding else "utf-8"
    )
    assert told(read(tmp_path, content, encoding=encoding)) == [("L2", "铁")]


def test_blanks_behind_a_delimiter_belong_to_no_cell(tmp_path: Path) -> None:
    found = read(tmp_path, 'name, property, value\niron, mass, "55,845"\n')
    assert (found[0].get("property"), found[0].get("value")) == ("mass", "55,845")


def test_a_blank_may_be_the_delimiter(tmp_path: Path) -> None:
    assert told(read(tmp_path, "name value\niron 1\n", delimiter=" ")) == [("L2", "iron")]


def test_columns_of_a_file_without_a_header(tmp_path: Path) -> None:
    found = read(tmp_path, "iron,Fe\ntin\n", columns=["name", "symbol"])
    assert told(found) == [("L1", "iron"), ("L2", "malformed")]


def test_where_nothing_encloses_cells_a_quotation_mark_is_a_character(tmp_path: Path) -> None:
    found = read(tmp_path, 'name\ttag\n"\tO\nthe\tO\n"quoted\tB\n', delimiter="\t", quote="")
    assert told(found) == [("L2", '"'), ("L3", "the"), ("L4", '"quoted')]


def test_lines_above_the_header_are_lines_of_the_file(tmp_path: Path) -> None:
    assert told(read(tmp_path, 'a "title\n\nname,value\niron,1\n', skip_lines=2)) == [
        ("L4", "iron")
    ]


def test_a_source_needs_only_name_path_language_and_mapping(tmp_path: Path) -> None:
    problems: list[str] = []
    source = {"kind": "csv", "name": "toy", "path": "a.csv", "lang": "en", "map": {"text": "name"}}
    params = parse({"sources": [source]}, extract.Params, "extract", problems)
    assert params is not None, problems
    path = tmp_path / "a.csv"
    path.write_text('name,melting point\n"zinc, pure",693 °C\n', encoding="utf-8")
    (unit,) = params.sources[0].units(path)
    assert unit.cells == {"name": "zinc, pure", "melting point": "693 °C"}


def test_settings_that_no_reader_takes() -> None:
    problems: list[str] = []
    source = {
        "kind": "csv",
        "name": "toy",
        "path": "a",
        "lang": "en",
        "encoding": "utf-8",
        "skip_lines": 0,
        "map": {},
    }
    parse(
        {"sources": [source | {"delimiter": ", ", "quote": "''"}]},
        extract.Params,
        "extract",
        problems,
    )
    assert problems == [
        "extract.sources.0.csv.delimiter: string should have at most 1 character, got ', '",
        "extract.sources.0.csv.quote: string should have at most 1 character, got \"''\"",
    ]


def test_utf16_that_does_not_decode(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"a\.csv: .*; set the source's `encoding` to what the file is written in"
    ):
        read(tmp_path, b"name,value\n", encoding="utf-16")


@pytest.mark.parametrize("written", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gb18030"])
def test_an_encoding_that_is_found_reads_the_same(tmp_path: Path, written: str) -> None:
    content = "name,value\n铁的熔点,1538\n锡,232\n".encode(written)
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    source = Csv("csv", "toy", "a.csv", "zh", Mapping(text="name"), encoding="auto")
    assert told(list(source.units(path))) == [("L2", "铁的熔点"), ("L3", "锡")]
