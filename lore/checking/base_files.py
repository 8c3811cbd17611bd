"""Files that the section `base` of params.yaml names, and dvc.yaml does not declare.

The command of the stage does not name them, so only `deps` tells DVC of them. A folder is listed as a
whole: a file that is added to it, such as a chat template, counts as a change too.
"""

import json
import re
from typing import Any

from lore.checking.project import Project, StageEntry
from stages.base import sources

STAGE = "base"
# A path that YAML takes as text without quotation marks.
PLAIN = re.compile(r"[\w./][\w./ +@-]*[\w./]|[\w./]", re.ASCII)


def entry_of(project: Project) -> StageEntry | None:
    """Return the stage `base`. None: the project has none, or has one of its own with another command."""
    for entry in project.entries:
        if entry.name == STAGE and entry.command[:4] == ["python", "-m", "stages", STAGE]:
            return entry
    return None


def section_of(project: Project) -> dict[str, Any]:
    """Return the section `base`, empty where it is missing or no mapping."""
    section = project.params.get(STAGE)
    return section if isinstance(section, dict) else {}


def paths(project: Project) -> list[str]:
    """Return the paths that the section names."""
    return list(sources.paths_of_user(section_of(project)).values())


def unlisted(project: Project) -> dict[str, str]:
    """Return those that are no dependency of the stage, by setting."""
    entry = entry_of(project)
    if entry is None:
        return {}
    return sources.unlisted(section_of(project), entry.dependencies)


def undeclared(project: Project) -> list[str]:
    """Return a problem for each of those."""
    problems = []
    for name, path in unlisted(project).items():
        problems.append(
            f"base: params.yaml names {path} (base.{name}), which is no dependency in dvc.yaml; "
            "`lore check --fix` writes it there"
        )
    return problems


def rewrite(text: str, project: Project) -> str:
    """Return the text of dvc.yaml with those among the deps of the stage. All other lines stay as they are."""
    lines = []
    for path in unlisted(project).values():
        written = path if PLAIN.fullmatch(path) else json.dumps(path, ensure_ascii=False)
        lines.append(f"      - {written}\n")
    # The block that begins with `  base:` and ends before the next stage or section, then its line `deps:`.
    block = re.search(rf"(?ms)^  {STAGE}:\n.*?(?=^  \w|^\w|\Z)", text)
    deps = re.search(r"(?m)^    deps:\n", block[0]) if block else None
    if not lines or block is None or deps is None:
        return text
    place = block.start() + deps.end()
    return text[:place] + "".join(lines) + text[place:]
