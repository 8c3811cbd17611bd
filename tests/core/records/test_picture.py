"""The table of pictures: what is written is read, and another file is refused."""

from pathlib import Path

import pytest

from stages.core.project.errors import InputError
from stages.core.records import picture, record


def grey(number: int) -> picture.Picture:
    return picture.Picture(f"{number}.png", "0" * 64, "PNG", 4, 2, 2, 1, bytes([number] * 6))


def test_pictures_come_back_in_their_order(tmp_path: Path) -> None:
    with picture.writing(tmp_path / "p.parquet") as table:
        for number in range(picture.GROUP + 3):
            table.add(f"id{number}", grey(number))
    found = list(picture.read(tmp_path / "p.parquet"))
    assert found == [(f"id{number}", grey(number)) for number in range(picture.GROUP + 3)]


def test_no_picture_is_a_table_too(tmp_path: Path) -> None:
    with picture.writing(tmp_path / "p.parquet"):
        pass
    assert list(picture.read(tmp_path / "p.parquet")) == []


def test_what_is_no_table_of_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not found; run the stage that writes it"):
        list(picture.read(tmp_path / "p.parquet"))
    (tmp_path / "p.parquet").write_text("no")
    with pytest.raises(InputError, match="not a Parquet file"):
        list(picture.read(tmp_path / "p.parquet"))
    record.write(tmp_path / "r.parquet", [])
    with pytest.raises(InputError, match="not those of a table of pictures"):
        list(picture.read(tmp_path / "r.parquet"))
