"""Resolve pyproject.toml in a fresh environment and pin what came out: `python setup/lock.py requirements.lock [pip options]`.

The lock file holds plain `name==version` lines, sorted, without local labels (`+cpu`), index addresses or hashes, so
that every machine's own pip settings decide where a wheel comes from.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HEADER = "# Made by `make lock` from pyproject.toml: every library a result depends on. Installed by `make setup`.\n"


def main() -> None:
    """Write the lock file."""
    target, options = Path(sys.argv[1]), sys.argv[2:]
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    wanted = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["dev"],
    ]
    wanted += project["build-system"]["requires"]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = str(Path(folder) / "bin" / "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", *options, *wanted], check=True)
        subprocess.run([python, "-m", "pip", "check"], check=True)
        frozen = subprocess.run(
            [python, "-m", "pip", "freeze", "--exclude", "pip", "--all"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    pins = sorted(
        (re.sub(r"\+\w+$", "", line) for line in frozen.splitlines() if "==" in line), key=str.lower
    )
    target.write_text(HEADER + "\n".join(pins) + "\n", encoding="utf-8")
    print(f"{target}: {len(pins)} libraries pinned")


if __name__ == "__main__":
    main()
