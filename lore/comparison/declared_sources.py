"""Whether a version declares every source that it reads."""

from pathlib import Path
from typing import TYPE_CHECKING

from stages.core.project import artifacts

if TYPE_CHECKING:
    from lore.versions.version import Version


def undeclared(version: "Version") -> list[str]:
    """Return a line for each source of params.yaml that dvc.yaml of the version does not declare.

    Raises InputError where one of these files cannot be read.
    """
    from lore.checking.project import entry_of
    from lore.checking.sources import undeclared_sources

    pipeline = version.document(artifacts.PIPELINE)
    params = version.document(artifacts.PARAMS)
    stages = pipeline.get("stages") if isinstance(pipeline, dict) else None
    if not isinstance(stages, dict) or not isinstance(params, dict):
        return []
    entries = []
    for name, stage in stages.items():
        # A stage that a template makes has its command below `do`.
        is_template = isinstance(stage, dict) and "do" in stage
        if name == "extract" and isinstance(stage, dict) and not is_template:
            entries.append(entry_of(name, stage))
    return undeclared_sources(entries, params, Path())
