"""tables: rows of HTML and Markdown tables as units; what is not certain is set aside with its reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.extract import html_tables
from stages.extract.tables import MOST_CELLS, MOST_COLUMNS, Cell, Grid, Row, columns_of, units_of
from stages.extract.unit import Mapping, Unit

BY_ROW = Mapping(subject="Drug")
BY_CELL = Mapping(subject="row", attribute="header", value="cell")


def units(
    page: str, mapping: Mapping = BY_ROW, header_rows: int | None = None, by_cell: bool = False
) -> list[Unit]:
    found = []
    for _, table in html_tables.of_html(page):
        found += units_of(table, header_rows, mapping, by_cell)
    return found


def told(found: list[Unit]) -> list[str]:
    return [unit.reason or unit.raw for unit in found]


DRUGS = """<h1>Doses</h1><h2>Adults</h2>
<table><caption>Per <b>day</b></caption>
<thead><tr><th rowspan=2>Drug<th colspan=2>Dose (mg)<th rowspan=2>Route</tr>
<tr><th>least<th>most</tr></thead>
<tr><td colspan=4>Pain</tr>
<tr><td><p>Aspirin</p><td>300<sup>*</sup><td>900<td rowspan=2>oral</tr>
<tr><td>Codeine<td>30</tr>
<tr style="display:none"><td>Hidden<td>1<td>2<td>3</tr>
</table>"""


def test_a_row_is_a_unit() -> None:
    first, second = units(DRUGS)
    assert first.cells == {
        "Drug": "Aspirin",
        "Dose (mg) least": "300",
        "Dose (mg) most": "900",
        "Route": "oral",
        "row": "Aspirin",
        "caption": "Per day",
        "group": "Pain",
    }
    assert (first.position, first.raw) == ("L6", "Aspirin | 300 | 900 | oral")
    assert (second.get("Drug"), second.get("Dose (mg) most"), second.get("Route")) == (
        "Codeine",
        None,
        "oral",
    )


def test_a_cell_is_a_unit() -> None:
    found = units(DRUGS, BY_CELL, by_cell=True)
    shown = [
        (unit.get("row"), unit.get("header_name"), unit.get("header_unit"), unit.get("cell"))
        for unit in found
    ]
    assert shown == [
        ("Aspirin", "Dose least", "mg", "300"),
        ("Aspirin", "Dose most", "mg", "900"),
        ("Aspirin", "Route", None, "oral"),
        ("Codeine", "Dose least", "mg", "30"),
        ("Codeine", "Route", None, "oral"),
    ]
    assert [unit.position for unit in found] == ["L6/2", "L6/3", "L6/4", "L7/2", "L7/4"]
    assert found[0].get("header") == "Dose (mg) least"


def test_columns_that_the_mapping_names_state_no_fact_of_their_own() -> None:
    mapping = Mapping(subject="Drug", attribute="header", value="cell", meta={"route": "Route"})
    headers = [unit.get("header") for unit in units(DRUGS, mapping, by_cell=True)]
    assert set(headers) == {"Dose (mg) least", "Dose (mg) most"}


def test_the_headings_above_a_table() -> None:
    page = DRUGS + "<h2>Children</h2><table><tr><th>Drug<tr><td>none</table>"
    headings = [headings for headings, _ in html_tables.of_html(page)]
    assert headings == [["Doses", "Adults"], ["Doses", "Children"]]


def test_a_table_of_markdown() -> None:
    page = "---\ntitle: x\n---\n| Drug | Dose |\n|---|---|\n| *Aspirin* | 10^3^ mg |\n"
    ((_, table),) = html_tables.of_markdown(page)
    (unit,) = units_of(table, None, BY_ROW, False)
    assert (unit.position, unit.get("Drug"), unit.get("Dose")) == ("L6", "Aspirin", "10³ mg")


HEAD = "<table><tr><th>Drug<th>Dose<th>Route"


@pytest.mark.parametrize(
    ("rows", "reason", "evidence"),
    [
        ("<tr><td>Aspirin<td colspan=2>none", "merged_cells", "one cell stands in the columns Dose, Route"),
        ("<tr><td>Aspirin<td>1<td>2<td>3", "malformed", "4 cells, 3 columns"),
        ("<tr><td>Drug<td>Dose<td>Route", "repeated_header", "the row repeats the header"),
        ("<tr><td colspan=3>Note: by mouth.", "other_row", "one cell across the table, with no row below it"),
    ],
)  # fmt: skip
def test_a_row_that_is_not_certain_is_set_aside(rows: str, reason: str, evidence: str) -> None:
    kept, aside = units(f"{HEAD}<tr><td>Codeine<td>30<td>oral{rows}</table>")
    assert kept.get("Drug") == "Codeine"
    assert (aside.cells, aside.reason, aside.evidence) == (None, reason, evidence)


@pytest.mark.parametrize(
    ("page", "reason", "evidence"),
    [
        ("<table><tr><td>Drug<td>Dose<tr><td>a<td>b</table>", "no_header", "no row is marked as a header; set `header_rows`"),
        ("<table><tr><th>Drug<th>Drug<tr><td>a<td>b</table>", "duplicate_column", "two columns have the name 'Drug'"),
        (f"<table><tr>{'<th colspan=1000>x' * 2}</table>", "too_large", f"more than {MOST_COLUMNS:,} columns"),
        (
            f"<table><tr>{'<td rowspan=0 colspan=9>x' * 100}{'<tr>' * 1200}</table>",
            "too_large",
            f"more than {MOST_CELLS:,} cells",
        ),
    ],
)  # fmt: skip
def test_a_table_that_is_not_certain_is_set_aside(page: str, reason: str, evidence: str) -> None:
    (unit,) = units(page)
    assert (unit.cells, unit.reason, unit.evidence.partition("; rename")[0]) == (
        None,
        reason,
        evidence,
    )


def test_the_number_of_header_rows_is_told() -> None:
    page = "<table><tr><td>Drug<td>Dose<tr><td>Aspirin<td>81</table>"
    (unit,) = units(page, header_rows=1)
    assert unit.get("Dose") == "81"
    first, _ = units(page, header_rows=0)
    assert (first.get("column 1"), first.get("column 2")) == ("Drug", "Dose")


def test_a_table_that_lays_out_a_page_is_none() -> None:
    page = f"<table><tr><td>menu<td>{HEAD}<tr><td>Aspirin<td>1<td>oral</table></table>"
    assert told(units(page)) == ["Aspirin | 1 | oral"]


def test_a_column_without_a_name_has_a_number() -> None:
    header = [Row("L1", [Cell("", 0), Cell("高度（米）", 1)])]
    assert [tuple(column) for column in columns_of(header, 2)] == [
        ("column 1", "column 1", ""),
        ("高度（米）", "高度", "米"),
    ]


CELLS = st.lists(
    st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), max_size=4), min_size=1, max_size=5
)


@given(CELLS)
def test_every_cell_of_a_grid_has_a_place(rows: list[list[tuple[int, int]]]) -> None:
    grid = Grid()
    for number, spans in enumerate(rows):
        cells = [(Cell(f"{number}.{i}", 0, across), down) for i, (across, down) in enumerate(spans)]
        grid.add(f"L{number}", cells, False)
    for number, row in enumerate(grid.rows):
        own = {cell.text for cell in row.cells if cell.text.startswith(f"{number}.")}
        assert own == {f"{number}.{i}" for i in range(len(rows[number]))}
        firsts = [cell.first for cell in row.cells]
        assert len(set(firsts)) == len(firsts)


TAGS = "<table> </table> <tr> <td> <th> <td_rowspan=2> <td_colspan=3> <th_rowspan=0> <thead> </thead> <caption> <h2> a 1".split()


@given(st.lists(st.sampled_from(TAGS)), st.sampled_from([None, 0, 1, 2]), st.booleans())
def test_any_tables_are_read(tags: list[str], header_rows: int | None, by_cell: bool) -> None:
    page = "<table><tr><th>Drug<th>Dose" + "".join(tags).replace("_", " ")
    for unit in units(page, BY_CELL if by_cell else BY_ROW, header_rows, by_cell):
        assert (unit.cells is None) == bool(unit.reason)


def test_two_columns_of_one_name_that_nothing_uses() -> None:
    page = "<table><tr><th>Drug<th>Note<th>Note<tr><td>Codeine<td>a<td>b</table>"
    (unit,) = units(page, Mapping(subject="Drug"))
    assert (unit.reason, unit.get("Drug")) == ("", "Codeine")


def test_a_table_with_a_header_around_another_table_is_read() -> None:
    inner = "<table><tr><th>Route<th>Time<tr><td>oral<td>noon</table>"
    page = f"{HEAD}<tr><td>Codeine<td>30<td>{inner}<tr><td>Aspirin<td>81<td>oral</table>"
    found = units(page, Mapping(subject="Drug"))
    assert [unit.get("Drug") for unit in found] == ["Codeine", "Aspirin", None]
    assert (found[0].get("Dose"), found[2].get("Time")) == ("30", "noon")


@pytest.mark.parametrize("row", ["<td>DRUG<td>dose<td>Route", "<td>---<td>:--<td>:--:"])
def test_a_header_inside_a_table_in_another_form(row: str) -> None:
    page = f"{HEAD}<tr><td>Codeine<td>30<td>oral<tr>{row}</table>"
    assert told(units(page, Mapping(subject="Drug")))[1] == "repeated_header"
