"""Tables and word lists beside the code: read strictly, and every one of them can be read."""

import re
from pathlib import Path

import pytest

from stages.clean.tables import is_yes, read_mapping, read_table, read_words
from stages.core.project.errors import InputError
from stages.core.repeatable import fingerprint

COLUMNS = ("spelling", "unit")
CLEAN = Path(__file__).parents[3] / "stages" / "clean"


def written(folder: Path, content: str) -> Path:
    path = folder / "units.csv"
    path.write_text(content, encoding="utf-8")
    return path


def test_a_table_is_read_without_its_head_and_blank_lines(tmp_path: Path) -> None:
    path = written(tmp_path, '# Units.\n#\nspelling,unit\n\n"a,b",µg\n#x,克\n')
    assert read_table(path, COLUMNS) == (
        {"spelling": "a,b", "unit": "µg"},
        {"spelling": "#x", "unit": "克"},
    )


def test_a_table_is_read_once(tmp_path: Path) -> None:
    path = written(tmp_path, "spelling,unit\nkg,kg\n")
    first = read_table(path, COLUMNS)
    path.unlink()
    assert read_table(path, COLUMNS) is first


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("spelling,name\nkg,kg\n", "its columns are ['spelling', 'name']; write spelling,unit"),
        ("", "its columns are []; write spelling,unit"),
        ("# Units.\nspelling,unit\nkg\n", ":3: 1 cells; write 2: spelling,unit"),
        ("spelling,unit\nkg,kg,kg\n", ":2: 3 cells; write 2: spelling,unit"),
        ("spelling,unit\nkg, kg\n", ":2: unit is ' kg'; remove the blanks around it"),
        ("spelling,unit\nkg,\n", ":2: unit is empty"),
        ("spelling,unit\nkg,kg\n\nkg,kg\n", ":4: this row stands in the table twice"),
    ],
)
def test_a_spoilt_table_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(InputError, match=re.escape(message)):
        read_table(path, COLUMNS)


def test_a_column_may_be_empty(tmp_path: Path) -> None:
    path = written(tmp_path, "spelling,unit\nkg,\n")
    assert read_table(path, COLUMNS, ("unit",)) == ({"spelling": "kg", "unit": ""},)


def test_a_mapping_has_each_key_once(tmp_path: Path) -> None:
    path = written(tmp_path, "spelling,unit\nkg,kg\ng,gram\n")
    assert read_mapping(path, "spelling", "unit") == {"kg": "kg", "g": "gram"}
    path = tmp_path / "twice.csv"
    path.write_text("spelling,unit\nkg,kg\nkg,gram\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"twice\.csv: spelling 'kg' stands in the table twice"):
        read_mapping(path, "spelling", "unit")


def test_every_spelling_of_a_unit_has_one_meaning() -> None:
    for name in ("units.csv", "chinese_units.csv", "compound_units.csv", "doubtful_units.csv"):
        lines = (CLEAN / "values/data" / name).read_text(encoding="utf-8").splitlines()
        spellings = [line.split(",")[0] for line in lines if not line.startswith("#")]
        assert len(set(spellings)) == len(spellings) > 10


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv: cannot be read: .*; install the package"):
        read_table(tmp_path / "none.csv", COLUMNS)


def test_yes_and_no() -> None:
    assert [is_yes({"plural": cell}, "plural") for cell in ("yes", "no", "")] == [
        True,
        False,
        False,
    ]
    with pytest.raises(InputError, match=r"plural is 'true' in .*; write yes or no"):
        is_yes({"plural": "true"}, "plural")


def test_words_are_read_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("# Words.\n\nde la\nvan\n", encoding="utf-8")
    assert read_words(path) == ("de", "la", "van")


@pytest.mark.parametrize(
    ("content", "message"),
    [("de la\nde\n", ":2: 'de' stands in the list twice"), ("# Words.\n", ": no words")],
)
def test_a_spoilt_word_list_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "words.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=re.escape(message)):
        read_words(path)


@pytest.mark.parametrize("path", sorted(CLEAN.glob("*/data/*")), ids=lambda path: path.name)
def test_every_file_says_what_it_holds(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    head = [line for line in lines if line.startswith("# ")]
    assert head
    if path.suffix == ".csv":
        header = next(line for line in lines if not line.startswith("#"))
        explained = [line.split()[1] for line in head]
        assert [name for name in header.split(",") if name not in explained] == []


@pytest.mark.parametrize(
    "module",
    [
        "stages.clean.personal.tagger",
        "stages.extract.kinds.audio",
        "stages.extract.kinds.pages",
        "stages.extract.kinds.pdf",
    ],
)
def test_no_remembered_result_depends_on_a_table(module: str) -> None:
    # The key of a remembered result holds a digest of Python files, not of tables.
    files = [path.relative_to(fingerprint.ROOT).as_posix() for path in fingerprint.sources(module)]
    assert files
    assert "stages/clean/tables.py" not in files
