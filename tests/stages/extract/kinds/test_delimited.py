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
from stages.extract import lines
from stages.extract.kinds import delimited
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


# NUL is no text, and a byte order mark at the start of a row is dropped. U+0A00 and U+FFFE are no characters:
# in UTF-16 they are a sign of shifted bytes.
CELLS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff\u0a00\ufffe"), max_size=12
)
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


@pytest.mark.parametrize(
    ("row", "behind"),
    [
        ('"iron" ore,note,x', "' ore,note,'"),
        ('iron,"a "hard" metal",x', "'hard\" meta'"),
        ('iron,note,"5" wide"', "' wide\"'"),
        ('iron,note,"x"\u200b', "'<U+200B>'"),
    ],
)
def test_no_quotation_mark_is_lost(tmp_path: Path, row: str, behind: str) -> None:
    found = read(tmp_path, f"{HEAD}{row}\r\ntin,note,x\r\n")
    assert told(found) == [("L2", "malformed"), ("L3", "tin")]
    assert f"goes on behind its closing quotation mark with {behind}" in found[0].evidence


def test_what_is_clear_about_quotation_marks_is_read(tmp_path: Path) -> None:
    found = read(
        tmp_path, HEAD + 'iron,5" pipe,"x" , \r\ntin, "a ""b""" ,""\r\n'.replace(" , ", " ")
    )
    assert [list((unit.cells or {}).values()) for unit in found] == [
        ["iron", '5" pipe', "x"],
        ["tin", 'a "b"', ""],
    ]


@given(
    st.text(st.sampled_from('a ",;\\\t\n\r\u200b'), min_size=1, max_size=20),
    st.sampled_from(",;\t "),
)
def test_a_usual_row_reads_the_same_step_by_step(text: str, delimiter: str) -> None:
    grammar = delimited.Grammar(delimiter, '"', "")
    cells = grammar._read_quickly(text)
    if cells is not None and "\r" not in text and "\n" not in text:
        assert grammar._read_step_by_step(text, is_open=False) == delimited.Reading(cells)


ESCAPED = 'name,text,z\n1,"say \\"hi\\" to her",z\n2,"<a x=\\"1,2\\">l</a>",z\n3,plain\\, one,z\n'


def test_with_an_escape_character_marks_and_delimiters_are_text(tmp_path: Path) -> None:
    found = read(tmp_path, ESCAPED, escape="\\")
    assert [unit.get("text") for unit in found] == [
        'say "hi" to her',
        '<a x="1,2">l</a>',
        "plain, one",
    ]


def test_an_escape_character_before_other_text_is_text(tmp_path: Path) -> None:
    content = 'name,a,b\n1,"C:\\new\\\\","x ""y"" \\\\"\n'
    (unit,) = read(tmp_path, content, escape="\\")
    assert (unit.get("a"), unit.get("b")) == ("C:\\new\\", 'x "y" \\')


def test_without_a_setting_no_backslash_is_guessed_about(tmp_path: Path) -> None:
    found = read(tmp_path, ESCAPED + '4,"last",z\n')
    assert told(found) == [
        ("L2", "malformed"),
        ("L3", "malformed"),
        ("L4", "malformed"),
        ("L5", "4"),
    ]
    for unit in found[:2]:
        assert "set `escape: '\\'` if the mark is then text" in unit.evidence


@pytest.mark.parametrize(
    "row",
    [
        '1,5\\" pipe,z',  # the backslash may be text
        '1,"a\\", b\\"",z',  # two cells, or one
        '1,"5\\"",z',  # an open cell, or `5"`
    ],
)
def test_a_row_with_two_readings_is_set_aside(tmp_path: Path, row: str) -> None:
    found = read(tmp_path, f'name,a,b\n{row}\n2,"x",z\n3,y,5",\n')
    assert found[0].reason == "malformed"
    assert "set `escape" in found[0].evidence
    assert found[1].get("name") == "2"


@pytest.mark.parametrize(
    ("row", "value"),
    [
        ('1,"C:\\data\\",z', "C:\\data\\"),
        ('1,"{""a"": ""say \\""hi\\"" now""}",z', '{"a": "say \\"hi\\" now"}'),
    ],
)
def test_a_backslash_with_one_reading_is_read(tmp_path: Path, row: str, value: str) -> None:
    assert read(tmp_path, f"name,a,b\n{row}\n")[0].get("a") == value


def test_where_a_backslash_is_declared_text_it_is(tmp_path: Path) -> None:
    (unit,) = read(tmp_path, 'name,a,b\n1,5\\" pipe,z\n', escape="")
    assert unit.get("a") == '5\\" pipe'


@given(st.lists(LINES, min_size=1, max_size=6), st.sampled_from(",;\t|"))
def test_what_csv_writes_with_an_escape_character_comes_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], delimiter: str
) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    dialect = {"escapechar": "\\", "doublequote": False, "quoting": csv.QUOTE_ALL}
    written(path, rows_of(rows), delimiter=delimiter, **dialect)
    found = units(path, delimiter=delimiter, escape="\\")
    assert [list((unit.cells or {}).values()) for unit in found] == rows_of(rows)


def test_a_carriage_return_alone_ends_no_line(tmp_path: Path) -> None:
    assert told(read(tmp_path, HEAD + "iron,no\rte,x\r\ntin,note,y\r\n")) == [
        ("L2", "malformed"),
        ("L3", "tin"),
    ]


@pytest.mark.parametrize("cell", ["x" * 300_000, f'"{"x, " * 100_000}"', f'"{"line" * 30}\r\n"'])
def test_a_cell_may_be_long(tmp_path: Path, cell: str) -> None:
    cell = cell.replace("\r\n", "\r\n" * 90_000)
    found = read(tmp_path, HEAD + f"iron,note,{cell}\r\ntin,note,y\r\n")
    assert [unit.get("name") for unit in found] == ["iron", "tin"]
    assert found[0].get("value") == cell.strip('"').strip()


def test_an_open_cell_is_followed_for_so_many_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delimited, "LONGEST_CELL", 1000)
    found = read(tmp_path, HEAD + 'iron,note,"x\r\n' + "tin,note,y\r\n" * 200)
    assert [unit.reason for unit in found] == ["malformed"] + [""] * 200
    assert "it is still open after 1,000 characters" in found[0].evidence


@pytest.mark.parametrize(
    "line",
    [
        'a","b\n',  # each line opens a cell, which the next closes and opens again
        'a,"\n',
        '"",""",b\n',
        'a,"b\n',
        "plain,row\n",
    ],
)
def test_the_work_grows_in_proportion_to_the_file(
    tmp_path: Path, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = 0
    read_cells = delimited.Grammar.read

    def counting(grammar: delimited.Grammar, text: str, *, is_open: bool = False) -> Any:
        nonlocal work
        work += len(text)
        return read_cells(grammar, text, is_open=is_open)

    monkeypatch.setattr(delimited.Grammar, "read", counting)
    counts = []
    for size in (400, 800):
        work = 0
        path = tmp_path / "a.csv"
        path.write_text("name,value\n" + line * size + "last,row\n", newline="")
        units(path)
        counts.append(work)
    assert counts[1] <= 2.1 * counts[0]
    assert counts[1] <= 5 * path.stat().st_size


def test_a_line_without_an_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 1000)
    with pytest.raises(InputError, match=r"a\.csv: line 2 is longer than 1,000 bytes; check that"):
        read(tmp_path, HEAD + "\0" * 5000)


def test_memory_does_not_grow_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row of several lines, and a mark that opens a cell and is never closed, in a file of eight megabytes."""
    monkeypatch.setattr(delimited, "LONGEST_CELL", 2**17)
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


@pytest.mark.parametrize("encoding", ["utf-8", "auto", "cp1252"])
@pytest.mark.parametrize("cell", ["cop\0per", '"cop\0\nper"', "\0copper", "copper\0"])
def test_a_nul_costs_its_own_row_alone(tmp_path: Path, encoding: str, cell: str) -> None:
    found = read(tmp_path, f"{HEAD}iron,a,b\r\n{cell},a,b\r\nzinc,a,b\r\n", encoding=encoding)
    assert [unit.get("name") for unit in found] == ["iron", None, "zinc"]
    assert found[1].reason == "malformed"
    assert found[1].evidence == "holds a NUL character (U+0000), which is no text"


def test_nuls_behind_the_last_row(tmp_path: Path) -> None:
    found = read(tmp_path, HEAD.encode() + b"iron,a,b\r\n" + b"\0" * 4096, encoding="auto")
    assert told(found) == [("L2", "iron"), ("L3", "malformed")]


def test_two_columns_of_one_name_that_the_mapping_names(tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match=r"toy: .*several columns are called 'name' \(columns 1 and 3\); rename one",
    ):
        read(tmp_path, "name,value, name\niron,1,tin\n")
    found = read(
        tmp_path, "name,value,name\niron,1,tin\n", columns=["name", "a", "b"], skip_lines=1
    )
    assert told(found) == [("L2", "iron")]


def test_two_columns_of_one_name_that_nothing_uses(tmp_path: Path) -> None:
    assert told(read(tmp_path, "name,x,x,,\niron,1,2,,\n")) == [("L2", "iron")]


@pytest.mark.parametrize(
    ("again", "evidence"),
    [
        ("name,property,value", "the names of the columns again"),
        ("\ufeffname,property,value", "the names of the columns again"),
        ('"Name", PROPERTY,value', "the names of the columns again"),
        ("name,property,amount", "2 of 3 names of the columns again"),
    ],
)
def test_the_header_inside_the_file_is_set_aside(tmp_path: Path, again: str, evidence: str) -> None:
    found = read(tmp_path, f"{HEAD}iron,a,1\r\n{again}\r\ntin,b,2\r\n")
    assert told(found) == [("L2", "iron"), ("L3", "repeated_header"), ("L4", "tin")]
    assert found[1].evidence == evidence


def test_below_a_header_of_another_order_no_row_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, f"{HEAD}iron,a,1\nvalue,name,property\n2,tin,b\n{HEAD}zinc,c,3\n")
    assert [unit.reason for unit in found] == [
        "",
        "repeated_header",
        "malformed",
        "repeated_header",
        "",
    ]
    assert found[1].evidence == "names the columns in another order"
    assert found[2].evidence == "below L3, which names the columns in another order"


def test_a_value_that_is_a_name_of_a_column_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, HEAD + "iron,name,Fe\ntin,property,value\nname,x,y\n")
    assert [unit.reason for unit in found] == ["", "repeated_header", ""]


def test_columns_that_the_file_names_too(tmp_path: Path) -> None:
    found = read(tmp_path, "name,value\niron,1\n", columns=["name", "value"])
    assert told(found) == [("L1", "repeated_header"), ("L2", "iron")]


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("name;h\niron;4;\nzinc;2;\n", 2),
        ("name;h\niron;4;;; \nzinc;2;;;\nname;h\n", 2),
        ("name;h;\niron;4\nzinc;2\n", 2),
        ("name;h;\niron;4;\nzinc;2;\n", 3),
    ],
)
def test_a_delimiter_at_the_end_of_every_row(tmp_path: Path, content: str, columns: int) -> None:
    found = [unit for unit in read(tmp_path, content, delimiter=";") if unit.reason == ""]
    assert [unit.get("name") for unit in found] == ["iron", "zinc"]
    assert [unit.get("h") for unit in found] == ["4", "2"]
    assert [len(unit.cells or {}) for unit in found] == [columns, columns]


def test_a_delimiter_at_the_end_of_some_rows(tmp_path: Path) -> None:
    found = read(tmp_path, "name;h\niron;4;\nzinc;2\n", delimiter=";")
    assert told(found) == [("L2", "malformed"), ("L3", "zinc")]
    found = read(tmp_path, "name;h\ntin;3\niron;4;\n", delimiter=";")
    assert told(found) == [("L2", "tin"), ("L3", "malformed")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name;h\niron;4;x\nzinc;2;y\n", r"line 2, 3 fields, the header has 2: iron;4;x"),
        (
            "name;h\niron;4;x\nzinc;2;y\n",
            r"Every row has 3 cells, and the header has 2. Check `del",
        ),
        ("name;h\niron\nzinc;2;y\n", r"not one of 2 rows can be read .*Check `delimiter`, `quote`"),
        ("name;h\nA\0;1\n", r"holds a NUL character \(U\+0000\), which is no text: A<U\+0000>;1"),
        ('name;h\n"iron;4\n', r"the file ends inside it"),
    ],
)
def test_a_file_of_which_no_row_can_be_read(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, content, delimiter=";")


def test_a_file_in_another_encoding_throughout(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"not utf-8: M.ller,1\)\. Set `encoding` to what the file"
    ):
        read(tmp_path, "name,h\nMüller,1\nBöhm,2\n".encode("cp1252"))


@pytest.mark.parametrize("header", [b"na\xffme,h", b'name,"h"x', b'"name,h', b"na\0me,h"])
def test_a_header_that_cannot_be_read(tmp_path: Path, header: bytes) -> None:
    with pytest.raises(
        InputError, match=r"the header, line 1, cannot be read: .*; mend it, or check"
    ):
        read(tmp_path, header + b"\niron,4\nzinc,2\n")


def test_invisible_characters_around_a_name_of_a_column(tmp_path: Path) -> None:
    found = read(tmp_path, "\u200bname\ufeff,va\u200blue\niron,1\n")
    assert told(found) == [("L2", "iron")]
    source = Csv("csv", "toy", "a.csv", "en", Mapping(text="name"))
    assert source.column_names(found[0]) == ["name", "va<U+200B>lue"]


@pytest.mark.parametrize("end", ["\r", "\r\r\n", "\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb18030"])
def test_line_ends(tmp_path: Path, end: str, encoding: str) -> None:
    content = end.join(["name,h", "铁,4", '锡,"1', '2"', "锌,3"]) + end
    found = read(tmp_path, content.encode(encoding), encoding=encoding)
    assert told(found) == [("L2", "铁"), ("L3", "锡"), ("L5", "锌")]


def test_files_that_were_put_together(tmp_path: Path) -> None:
    one = "\ufeffname,h\niron,4\n"
    found = read(tmp_path, one + one.replace("iron", "tin") + '\ufeff"zinc",2\n')
    assert told(found) == [
        ("L2", "iron"),
        ("L3", "repeated_header"),
        ("L4", "tin"),
        ("L5", "zinc"),
    ]


def test_a_byte_order_mark_inside_a_row(tmp_path: Path) -> None:
    found = read(tmp_path, 'name,h\n"\ufeffiron",\ufeff4\ntin,5\ufeffname,h\nzinc,2\n')
    assert told(found) == [("L2", "iron"), ("L3", "malformed"), ("L4", "zinc")]
    assert found[0].get("h") == "4"
    assert found[1].evidence.endswith("(U+FEFF) stands inside, so a line end may be missing there")


@pytest.mark.parametrize("written", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("setting", ["utf-8", "cp1252", "auto", "utf-8-sig"])
def test_a_byte_order_mark_decides(tmp_path: Path, written: str, setting: str) -> None:
    content = "name,h\n铁,4\n".encode(written)
    assert told(read(tmp_path, content, encoding=setting)) == [("L2", "铁")]


def test_wrong_bytes_of_utf16_spoil_their_own_line(tmp_path: Path) -> None:
    content = "\ufeffname,h\niron,4\n".encode("utf-16-le") + b"\x00\xdcx\0\n\0"
    content += "tin,5\n".encode("utf-16-le")
    found = read(tmp_path, content, encoding="utf-16")
    assert told(found) == [("L2", "iron"), ("L3", "encoding"), ("L4", "tin")]


def test_bytes_of_utf16_that_are_shifted_are_no_text(tmp_path: Path) -> None:
    content = "\ufeffname\niron\n".encode("utf-16-le") + b"x" + "tin\nzinc\n".encode("utf-16-le")
    assert [unit.reason for unit in read(tmp_path, content, encoding="utf-16")] == ["", "encoding"]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"delimiter": "\n"}, "delimiter: a line end, which ends a row; write another character"),
        (
            {"delimiter": '"'},
            "quote: the same as `delimiter`; write another character, or '' for none",
        ),
        ({"escape": '"'}, "escape: the same as `quote` or `delimiter`; leave it out, a doubled"),
        (
            {"columns": ["a", "", "", "a"]},
            "columns: 'a' stands there twice; give each column its own",
        ),
    ],
)
def test_settings_that_do_not_fit_together(settings: dict[str, Any], problem: str) -> None:
    source = Csv("csv", "toy", "a.csv", "en", Mapping(text="name"), **settings)
    assert [found[: len(problem)] for found in source.problems()] == [problem]
    assert Csv("csv", "toy", "a.csv", "en", Mapping(text="name")).problems() == []


def test_a_file_of_headers_alone_is_refused_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="2 of 3 names of the columns again"):
        read(tmp_path, "name,property,value\nname,property\n")
    both = "name,property,value\nname,property\niron,mass,7\n"
    assert told(read(tmp_path, both)) == [("L2", "repeated_header"), ("L3", "iron")]


@pytest.mark.parametrize("encoding", ["utf-7", "unicode_escape", "raw_unicode_escape"])
def test_half_of_a_surrogate_pair_is_no_text(tmp_path: Path, encoding: str) -> None:
    half = "+2AA-" if encoding == "utf-7" else "\\ud800"
    found = read(tmp_path, f"name\niron {half}\ntin\n", encoding=encoding)
    assert told(found) == [("L2", "encoding"), ("L3", "tin")]
    assert found[0].raw == "iron \N{REPLACEMENT CHARACTER}"


def test_an_encoding_with_a_nul_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown encoding: utf<U\+0000>8"):
        read(tmp_path, "name\niron\n", encoding="utf\08")


def test_a_row_that_ends_with_the_escape_character(tmp_path: Path) -> None:
    found = read(tmp_path, HEAD.encode() + b"iron,note,two\\\ntin,note,x\n", escape="\\")
    assert told(found) == [("L2", "malformed"), ("L3", "tin")]
    assert "ends with the escape character" in found[0].evidence


def test_how_databases_write_a_cell_without_a_value(tmp_path: Path) -> None:
    (unit,) = read(tmp_path, HEAD.encode() + b"iron,note,\\N\n")
    assert (unit.get("name"), unit.get("value")) == ("iron", None)


def test_a_header_of_another_delimiter_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 1, has one column, .*set `delimiter: ';'`"):
        read(tmp_path, b"name;prop;value\niron;a;b\n")
