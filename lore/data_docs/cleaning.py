"""What `stages.clean.explaining` needs to explain the last run of `clean` in this project."""

from pathlib import Path

from stages import clean
from stages.clean.explaining import Files
from stages.core.project import artifacts
from stages.core.project.params import load


def inputs() -> tuple[clean.Params, Files]:
    """Return the settings of `clean` and the files that it reads and writes.

    Raises ParamsError for wrong settings.
    """
    params, _ = load("clean", clean.Params)
    files = Files(
        extracted=Path(artifacts.EXTRACT),
        rules=Path(artifacts.RULES),
        exclusions=Path(artifacts.EXCLUSIONS),
        cleaned=Path(artifacts.CLEAN),
    )
    return params, files
