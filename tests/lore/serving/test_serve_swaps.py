"""Swaps, rollbacks and kills under load, by the script that measures them: each kind of act once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_nothing_is_mixed_or_lost_and_everything_agrees(tmp_path: Path) -> None:
    command = [sys.executable, "docs/experiments/serve_swaps.py", str(tmp_path / "swaps")]
    done = subprocess.run(
        [*command, "--acts", "5", "--clients", "4"], cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert "acts: 5" in lines
    for found in ("mixed answers: 0 ", "lost otherwise: 0 ", "stale answers: 0 "):
        assert found in lines
    assert "disagreements of alias, index and served version: 0 " in lines
