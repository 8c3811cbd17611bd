"""The description of the API against the server, by schemathesis, where that program is installed."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.scripts import script

PROGRAM = shutil.which("schemathesis")
CONFIG = """
# JSON Schema cannot say that the last message is one of the user, so such requests are allowed by the description.
[[operations]]
include-name = "POST /v1/chat/completions"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404"]
"""
hostile = script("docs/experiments/serve_hostile.py")


@pytest.mark.slow
@pytest.mark.skipif(
    PROGRAM is None, reason="schemathesis is not on PATH; it wants an environment of its own"
)
def test_what_the_description_allows_is_answered_and_all_else_is_refused(tmp_path: Path) -> None:
    assert PROGRAM is not None
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    target = hostile.Target(tmp_path / "served")
    try:
        command = [PROGRAM, "run", f"http://127.0.0.1:{target.port}/openapi.json"]
        command += ["--header", f"Authorization: Bearer {hostile.TOKEN}", "--max-examples", "50"]
        command += ["--seed", "7", "--generation-deterministic"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-5000:]
        assert target.ask()[0] == 200
    finally:
        assert target.stop() == 0
