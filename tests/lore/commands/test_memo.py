"""lore memo: sizes as people write them, what was used longest ago goes first."""

import argparse
from pathlib import Path

import pytest

from lore.__main__ import main
from lore.commands import memo as command
from stages.core.project.errors import InputError
from stages.core.repeatable import memo


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("0", 0), ("12", 12), ("500M", 500_000_000), ("1.5 gb", 1_500_000_000), ("2T", 2 * 10**12)],
)
def test_sizes(text: str, wanted: int) -> None:
    assert command.size(text) == wanted


@pytest.mark.parametrize("text", ["", "M", "-1", "5X", "1e3"])
def test_no_size(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is no size; write 500M, 2G or 0"):
        command.size(text)


def test_show_and_prune(own_memo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "ab":
        memo.keep(own_memo / name, lambda path: path.write_bytes(bytes(300_000)))
    assert main(["memo"]) == 0
    assert capsys.readouterr().out == f"{own_memo}: 2 files, 0.6 MB\n"
    assert main(["memo", "--prune", "300K"]) == 0
    assert capsys.readouterr().out == f"removed 1 files, 0.3 MB\n{own_memo}: 1 files, 0.3 MB\n"
    assert main(["memo", "--prune", "0"]) == 0
    assert capsys.readouterr().out.endswith(": 0 files, 0.0 MB\n")


def test_what_cannot_be_removed(own_memo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memo.keep(own_memo / "a", lambda path: path.write_bytes(b"x"))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(
        InputError, match="Permission denied; make it writable for this user, or remove the folder"
    ):
        command.run(argparse.Namespace(prune=0))
