"""Resolve pyproject.toml in a fresh environment and pin the result: `python setup/lock.py requirements.lock [pip options]`.

The lock file holds plain lines `name==version`, sorted, without local labels (`+cpu`), index addresses or
hashes. So the pip settings of each machine decide where a wheel comes from.
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
    wanted = list(project["project"]["dependencies"])
    wanted += project["project"]["optional-dependencies"]["dev"]
    wanted += project["build-system"]["requires"]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = str(Path(folder) / "bin" / "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", *options, *wanted], check=True)
        subprocess.run([python, "-m", "pip", "check"], check=True)
        freeze = [python, "-m", "pip", "freeze", "--exclude", "pip", "--all"]
        frozen = subprocess.run(freeze, check=True, capture_output=True, text=True).stdout
    pins = []
    for line in frozen.splitlines():
        if "==" in line:
            # Cut off a local label: torch==2.13.0+cpu → torch==2.13.0
            pins.append(re.sub(r"\+\w+$", "", line))
    pins.sort(key=str.lower)
    target.write_text(HEADER + "\n".join(pins) + "\n", encoding="utf-8")
    print(f"{target}: {len(pins)} libraries pinned")


if __name__ == "__main__":
    main()
