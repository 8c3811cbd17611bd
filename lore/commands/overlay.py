"""Lay ready settings over params.yaml: a model's profile, a source's mapping, your own experiment.

An overlay is a YAML file that holds some keys of params.yaml and nothing else. Mappings are merged key
by key. An empty mapping clears the old one: `units: {}`. Lists and single values replace the old ones.
Comments of params.yaml stay. Every setting is checked before anything is written. Where the sources
change, the inputs of extract in dvc.yaml follow. For data of your own, begin with docs/profiles/blank.yaml,
which clears the settings of the elements.
Example: `lore overlay docs/profiles/blank.yaml mine.yaml --dry-run`.
"""

import argparse
import difflib
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lore.versions.yaml_file import read, write
from stages.core.project import artifacts, stage_modules
from stages.core.project.errors import ParamsError
from stages.core.project.params import Run, parse

PARAMS, PIPELINE = Path(artifacts.PARAMS), Path(artifacts.PIPELINE)
ROOT_ARGUMENT = 4
"""Position of the folder of the sources in `python -m stages extract <folder> <out>`."""
LONG = 60
"""Characters from which a list is shown by the names of its entries."""
NAME_ATTRIBUTES = (
    "clean.normalise.units",
    "clean.normalise.meta_units",
    "clean.normalise.years",
    "clean.normalise.dates",
    "clean.verify.tolerance",
    "clean.verify.single_valued",
)
"""Settings that hold names of attributes or fields, and so belong to certain sources."""
FROM_WILDCARD = re.compile(
    r"[^/]*"  # the beginning of the name that holds the first wildcard
    r"[*?\[]"  # the wildcard: * or ? or [abc]
)
"""In `data/raw/notes/2024-*.csv` it matches `2024-*`, and so finds where the fixed folder ends."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lore overlay`."""
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="such as docs/profiles/deepseek-v2-lite.yaml; of several, the last one counts",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print what would change, and change nothing"
    )
    parser.add_argument(
        "--add-sources",
        action="store_true",
        help="keep the present sources: those of FILE come after them, or replace the one of the same name",
    )
    parser.epilog = "Undo: git checkout params.yaml. See also: dvc params diff."


def run(options: argparse.Namespace) -> int:
    """Merge the files into params.yaml in order, and print each setting that changes.

    Raises ParamsError with every problem. Nothing is written then.
    """
    document = read(PARAMS)
    changes: dict[str, tuple[Any, Any]] = {}
    for file in options.files:
        overlay = read(file)
        if options.add_sources:
            add_present_sources(document, overlay)
        for key, old, new in merge(document, overlay):
            # Two files may change one setting. What is shown is the value before the first of them.
            first_old = changes[key][0] if key in changes else old
            changes[key] = (first_old, new)
    refuse_problems(document, options.files)
    for key, (old, new) in changes.items():
        print(f"{key}: {shown(old)} → {shown(new)}")
    if "extract.sources" in changes and not options.add_sources:
        for key, names in kept_from_before(document, changes):
            print(
                f"! {key} is as before, for {names}; to clear it, lay docs/profiles/blank.yaml first"
            )
    if not changes:
        print(f"{PARAMS} says all that already")
    elif not options.dry_run:
        write(PARAMS, document)
        if "extract.sources" in changes:
            follow_sources(document["extract"]["sources"])
    return 0


def refuse_problems(document: Any, files: Sequence[Path]) -> None:
    """Raise ParamsError with every setting that a stage would refuse."""
    problems = list(problems_of(document))
    if problems:
        names = ", ".join(str(file) for file in files)
        lines = "\n  ".join(["", *problems])
        raise ParamsError(f"{names} over {PARAMS}:{lines}")


def follow_sources(sources: Any) -> None:
    """Make the files and folders that the sources name the inputs of extract in dvc.yaml, and print them."""
    pipeline = read(PIPELINE)
    stage = pipeline["stages"]["extract"]
    root = shlex.split(stage["cmd"])[ROOT_ARGUMENT]
    inputs = set()
    for source in sources:
        # Of a pattern, the folder before its first wildcard.
        fixed = FROM_WILDCARD.split(f"{root}/{source['path']}")[0].rstrip("/")
        if source["kind"] == "images" and FROM_WILDCARD.search(source["path"]) is None:
            fixed = Path(fixed).parent.as_posix()  # the pictures stand beside the table
        inputs.add(fixed)
    models = set()
    for source in sources:
        model = source.get("model")
        if model and Path(model).is_dir():
            models.add(model)
    # What is neither a source nor a model is the code of the stage, and stays.
    code = []
    for dependency in stage["deps"]:
        if not Path(dependency).is_relative_to(root) and dependency not in models:
            code.append(dependency)
    read_from = sorted(inputs | models)
    stage["deps"] = read_from + code
    write(PIPELINE, pipeline)
    print(f"{PIPELINE}: extract reads {', '.join(read_from)}")


def add_present_sources(document: Any, overlay: Any) -> None:
    """Put the present sources before those of an overlay. A source of the same name is replaced in its place.

    An overlay that is no mapping, or whose sources are no list, is left to the check of settings.
    """
    section = overlay.get("extract")
    new = section.get("sources") if isinstance(section, dict) else None
    if not isinstance(new, list):
        return
    by_name = {}
    for source in new:
        if not isinstance(source, dict) or "name" not in source:
            return
        by_name[source["name"]] = source
    merged = []
    for source in document["extract"]["sources"]:
        merged.append(by_name.pop(source["name"], source))
    merged.extend(by_name.values())
    section["sources"] = merged


def kept_from_before(
    document: Any, changes: Mapping[str, tuple[Any, Any]]
) -> Iterator[tuple[str, str]]:
    """Yield the settings that name attributes or fields, and that the overlay did not touch.

    Other sources came, so these settings may judge data that they were not written for.
    Yields (key path, the names that the setting holds).
    """
    for key in NAME_ATTRIBUTES:
        value = document
        for step in key.split("."):
            value = value.get(step) if isinstance(value, dict) else None
        touched = any(changed == key or changed.startswith(f"{key}.") for changed in changes)
        if value and not touched:
            yield key, ", ".join(str(name) for name in value)


def merge(
    target: Any, overlay: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Merge in place. Yields (key path, old value, new value) of each setting that changes.

    An empty mapping in the overlay clears the old one.
    """
    for key, value in overlay.items():
        old = target.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and old and value:
            yield from merge(old, value, f"{prefix}{key}.")
        elif old != value or key not in target:
            target[key] = value
            yield f"{prefix}{key}", old, value


def problems_of(document: Any) -> Iterator[str]:
    """Yield a line for each setting that the stages would refuse."""
    expected: dict[str, Any] = {"run": Run}
    for stage in stage_modules.module_names():
        if stage in document:
            expected[stage] = stage_modules.load(stage).Params
    for name, section in document.items():
        if name in expected:
            problems: list[str] = []
            parse(section, expected[name], name, problems)
            yield from problems
            continue
        problem = f"{name}: no section of params.yaml"
        near = difflib.get_close_matches(name, ["run", *stage_modules.module_names()], n=1)
        if near:
            problem += f"; did you mean {near[0]}?"
        yield problem


def shown(value: Any) -> str:
    """Write a setting on one line. A long list is shown by the names of its entries."""
    if value is None:
        return "null"
    if isinstance(value, list) and len(str(value)) > LONG:
        names = []
        for entry in value:
            names.append(str(entry.get("name", "?") if isinstance(entry, dict) else entry))
        return f"[{', '.join(names)}]"
    return str(value)
