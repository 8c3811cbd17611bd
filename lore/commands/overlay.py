"""Lay ready settings over params.yaml: a model's profile, a source's mapping, your own experiment.

An overlay is a YAML file that holds some keys of params.yaml and nothing else. Mappings are merged key by key; lists and single
values replace what stood there. Comments of params.yaml stay. Every setting is checked before anything is written. Where sources
change, so do the inputs of extract in dvc.yaml.
"""

import argparse
import difflib
import importlib
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.representer import RoundTripRepresenter

from stages import STAGES
from stages.core.project.errors import ParamsError
from stages.core.project.output import replacing
from stages.core.project.params import Run, parse, read_yaml

PARAMS, PIPELINE = Path("params.yaml"), Path("dvc.yaml")
ROOT_ARGUMENT = 4
"""Where the folder of the sources stands in `python -m stages extract <folder> <out>`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lore overlay`."""
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="such as docs/profiles/deepseek-v2-lite.yaml",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print what would change, and change nothing"
    )
    parser.epilog = "Undo: git checkout params.yaml. See also: dvc params diff."


def run(options: argparse.Namespace) -> int:
    """Merge the files into params.yaml in order, and print each setting that changes. Raises ParamsError with every problem."""
    document = read(PARAMS)
    changes: dict[str, tuple[Any, Any]] = {}
    for file in options.files:
        for key, old, new in merge(document, read(file)):
            changes[key] = (changes[key][0] if key in changes else old, new)
    if problems := list(problems_of(document)):
        names = ", ".join(str(file) for file in options.files)
        raise ParamsError(
            f"{names} over {PARAMS}:\n" + "\n".join(f"  {problem}" for problem in problems)
        )
    for key, (old, new) in changes.items():
        print(f"{key}: {shown(old)} → {shown(new)}")
    if not changes:
        print(f"{PARAMS} says all that already")
    elif not options.dry_run:
        write(PARAMS, document)
        if "extract.sources" in changes:
            follow_sources(document["extract"]["sources"])
    return 0


def follow_sources(sources: Any) -> None:
    """Make the files and folders that the sources name the inputs of extract in dvc.yaml, and print them."""
    pipeline = read(PIPELINE)
    stage = pipeline["stages"]["extract"]
    root = shlex.split(stage["cmd"])[ROOT_ARGUMENT]
    # Of a pattern, the folder before its first wildcard.
    named = {
        re.split(r"[^/]*[*?\[]", f"{root}/{source['path']}")[0].rstrip("/") for source in sources
    }
    models = {
        source["model"]
        for source in sources
        if source.get("model") and Path(source["model"]).is_dir()
    }
    kept = [
        dep for dep in stage["deps"] if not Path(dep).is_relative_to(root) and dep not in models
    ]
    stage["deps"] = sorted(named | models) + kept
    write(PIPELINE, pipeline)
    print(f"{PIPELINE}: extract reads {', '.join(sorted(named | models))}")


def write(path: Path, document: Any) -> None:
    """Write a YAML file in one step."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        round_trip().dump(document, stream)


def read(path: Path) -> Any:
    """A YAML mapping with its comments. Raises ParamsError where there is none."""
    return read_yaml(path, round_trip())


def merge(
    target: Any, overlay: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Merge in place; yields (key path, old value, new value) of each setting that changes."""
    for key, value in overlay.items():
        old = target.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and old:
            yield from merge(old, value, f"{prefix}{key}.")
        elif old != value or key not in target:
            target[key] = value
            yield f"{prefix}{key}", old, value


def problems_of(document: Any) -> Iterator[str]:
    """What the stages would refuse, a line each."""
    expected = {"run": Run} | {
        stage: importlib.import_module(f"stages.{stage}").Params for stage in STAGES
    }
    for name, section in document.items():
        if name not in expected:
            near = difflib.get_close_matches(name, expected, n=1)
            yield f"{name}: no section of params.yaml" + (
                f"; did you mean {near[0]}?" if near else ""
            )
            continue
        found: list[str] = []
        parse(section, expected[name], name, found)
        yield from found


def shown(value: Any) -> str:
    """A setting on one line; long ones by their size."""
    if isinstance(value, list) and len(str(value)) > 60:
        names = [entry.get("name", "?") if isinstance(entry, dict) else entry for entry in value]
        return f"[{', '.join(map(str, names))}]"
    return "null" if value is None else str(value)


class Explicit(RoundTripRepresenter):
    """Writes null where ruamel.yaml leaves it out. A class of its own: representers are added to a class, for all who write."""


Explicit.add_representer(
    type(None), lambda writer, _: writer.represent_scalar("tag:yaml.org,2002:null", "null")
)


def round_trip() -> YAML:
    """A reader and writer that keeps comments, quotes and the form of params.yaml."""
    yaml = YAML()
    yaml.Representer = Explicit
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml
