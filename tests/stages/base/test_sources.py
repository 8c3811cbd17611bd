"""Paths that a user names: DVC must see each of them."""

from pathlib import Path

import pytest

from stages.base import sources
from stages.core.project.errors import ParamsError

FOLDER = {"source": "folder", "folder": "../mine/model", "general_file": "data/own.jsonl"}


@pytest.mark.parametrize(
    ("listed", "missing"),
    [
        ([], ["folder", "general_file"]),
        (["../mine/model"], ["general_file"]),
        (["../mine", "data"], []),
        (["../mine/model/config.json", "data/own.jsonl"], ["folder"]),
    ],
)
def test_a_path_is_listed_itself_or_by_a_folder_above_it(
    listed: list[str], missing: list[str]
) -> None:
    assert list(sources.unlisted(FOLDER, listed)) == missing


def test_a_folder_that_is_not_used_need_not_be_listed() -> None:
    assert sources.unlisted(FOLDER | {"source": "embedded"}, ["data"]) == {}


def test_an_unlisted_path_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {base: {deps: [a, {b: {cache: false}}]}}")
    message = (
        r"base.folder: \.\./mine/model is no dependency of the stage base in .*dvc.yaml, so DVC would "
        r"not notice when it changes; lore check --fix writes it there\nbase.general_file: "
    )
    with pytest.raises(ParamsError, match=message):
        sources.check_listed(FOLDER, tmp_path)
    sources.check_listed({"source": "folder", "folder": "b/model"}, tmp_path)


@pytest.mark.parametrize("text", [None, "stages: {}", "stages: {base: null}", "stages: null"])
def test_without_a_stage_there_is_nothing_to_list(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "dvc.yaml").write_text(text)
    sources.check_listed(FOLDER, tmp_path)


def test_a_gguf_file_is_a_base(tmp_path: Path) -> None:
    from stages.base import Params

    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    assert sources.locate(Params(source="folder", folder=str(path)), tmp_path) == path
