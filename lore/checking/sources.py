"""Sources that params.yaml reads and dvc.yaml does not declare.

They are read once, with whatever else makes extract run. Nobody sees them change afterwards.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lore.checking.project import StageEntry

# The rest of a path from its first part with a wildcard on: the `**/*.xml` of `notes/**/*.xml`.
FROM_WILDCARD = re.compile(r"[^/]*[*?\[]")


def undeclared_sources(
    entries: Sequence[StageEntry], params: dict[str, Any], root: Path
) -> list[str]:
    """Return a line for each source that is no dependency of extract."""
    extracts = [entry for entry in entries if entry.name == "extract"]
    section = params.get("extract")
    if not extracts or not isinstance(section, dict):
        return []
    extract = extracts[0]
    if extract.command[:4] != ["python", "-m", "stages", "extract"] or not extract.paths:
        return []  # another command: its first path need not be the folder of the sources
    problems = []
    for source in section.get("sources") or []:
        for path in paths_of_source(source, extract.paths[0], root):
            if not any(Path(path).is_relative_to(dep) for dep in extract.dependencies):
                problems.append(
                    f"extract: params.yaml reads {path}, which is no dependency in dvc.yaml; "
                    "add it to the deps of extract"
                )
    return problems


def paths_of_source(source: dict[str, str], folder: str, root: Path) -> list[str]:
    """Return the path of a source below the raw folder, and that of its checkpoint where it has one."""
    # Of a pattern such as notes/**/*.xml, the folder before the first part with a wildcard: notes.
    path = FROM_WILDCARD.split(f"{folder}/{source.get('path', '')}")[0].rstrip("/")
    if source.get("kind") == "images" and FROM_WILDCARD.search(source.get("path", "")) is None:
        path = Path(path).parent.as_posix()  # the pictures stand beside the table
    paths = [path]
    model = source.get("model")
    if model and (root / model).is_dir():
        paths.append(model)
    return paths
