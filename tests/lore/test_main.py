"""The command line itself: commands by group, plumbing hidden, -C from anywhere."""

import re

import pytest

from lore.__main__ import COMMANDS, GROUPS, main


def test_help_lists_commands_by_group_without_plumbing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    listed = re.findall(r"^    ([a-z-]+) ", said, re.MULTILINE)
    assert listed == [name for name in COMMANDS if name not in GROUPS[""]]
    for heading in ("every day:", "release:", "data:", "upkeep:"):
        assert f"  {heading}\n" in said
    assert "merge-driver" not in said


def test_a_hidden_command_can_be_called(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["merge-driver", "--help"])
    assert "usage: lore merge-driver" in capsys.readouterr().out
