"""yaml_file: what is read and written again keeps its comments and form, and null stays a word."""

import io
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from lore.versions.yaml_file import read, write
from stages.core.project.errors import ParamsError

TEXT = """\
# A comment
base:
  folder: null   # none
  name: "quoted"
  list:
    - 1
    - two: 2
"""


def test_a_file_is_written_as_it_was_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(TEXT, encoding="utf-8")
    write(path, read(path))
    assert path.read_text(encoding="utf-8") == TEXT
    write(path, read(path) | {"long": "word " * 1000})
    assert len(path.read_text(encoding="utf-8").splitlines()) == len(TEXT.splitlines()) + 1


def test_other_writers_of_yaml_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", {"folder": None})
    assert (tmp_path / "a.yaml").read_text(encoding="utf-8") == "folder: null\n"
    stream = io.StringIO()
    YAML().dump({"folder": None}, stream)
    assert stream.getvalue() == "folder:\n"


def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("- 1\n")
    with pytest.raises(ParamsError, match="expected a mapping"):
        read(tmp_path / "a.yaml")
