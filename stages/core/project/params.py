"""params.yaml → one frozen dataclass per stage; every mistake reported at once.

A stage sees its own section and `run`, nothing else: `load` returns just these two, so an undeclared read
cannot happen by accident. Defaults live in params.yaml only; a `Params` dataclass has none.
"""

import dataclasses
import difflib
import json
import typing
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stages.core.project.errors import ParamsError

STRICT = ConfigDict(extra="forbid", strict=True)
"""Config of every `Params`: `@dataclass(frozen=True, config=STRICT)` with pydantic's dataclass."""

P = TypeVar("P")


@dataclass(frozen=True, config=STRICT)
class Run:
    """The `run` section: what every stage shares."""

    seed: int
    """Root of all random numbers; each record's own generator derives from (seed, record id)."""
    threads: int
    """Threads of torch, BLAS and OpenMP. Part of the hash: another number may change the last bits."""
    isa: Literal["avx2", "default"]
    """Instruction set of the numeric kernels. `avx2` runs on any x86-64 of the last decade; `default` is the
    plainest path of each library (SSE2, NEON), slower and meant for machines without AVX2."""
    device: Literal["cpu", "auto"]
    """`cpu`: the same bits everywhere; `auto`: a GPU where there is one, bits then belong to that GPU."""
    executor: Literal["local", "ray"] = "local"
    """What works on the batches of a large corpus: threads and processes of this machine, or a Ray cluster. No byte depends
    on it, so stages do not list it in dvc.yaml. The params.yaml of an earlier version may lack it."""
    address: str | None = None
    """The Ray cluster, for `ray`. None starts one on this machine, with `threads` workers. No byte depends on it."""


RENAMED = {"run.engine": "run.executor"}
"""Former key → its present name."""


def load(stage: str, params_type: type[P], path: Path = Path("params.yaml")) -> tuple[P, Run]:
    """Read the section `stage` and `run` of `path`.

    Raises ParamsError listing every unknown, missing or ill-typed key of the two with its path and, for an
    unknown one, the nearest known name.
    """
    document = read_yaml(path)
    problems: list[str] = []
    run = _section(document, "run", Run, problems)
    section = _section(document, stage, params_type, problems)
    if run is None or section is None:
        raise ParamsError(f"{path}:\n" + "\n".join(f"  {line}" for line in problems))
    return section, run


def read_section(name: str, expected: type[P], path: Path = Path("params.yaml")) -> P:
    """Read one section alone. Raises ParamsError as `load` does."""
    problems: list[str] = []
    section = _section(read_yaml(path), name, expected, problems)
    if section is None:
        raise ParamsError(f"{path}:\n" + "\n".join(f"  {line}" for line in problems))
    return section


def read_yaml(path: Path, reader: YAML | None = None) -> dict[str, Any]:
    """Parse a YAML 1.2 mapping (as DVC does, so `2e-3` is a number); another reader may keep comments. Raises ParamsError."""
    try:
        document = (reader or YAML(typ="safe")).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{path}: not found; run from the project's root folder") from None
    except OSError as error:
        raise ParamsError(f"{path}: cannot be read: {error.strerror}") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise ParamsError(f"{path}: expected a mapping of sections at the top level")
    return document


def parse(value: Any, expected: type[P], where: str, problems: list[str]) -> P | None:
    """Validate `value` as `expected`, or append one line per problem (starting with `where`) and return None."""
    try:
        # As JSON, because pydantic's strict mode takes mappings for dataclasses only there.
        return TypeAdapter(expected).validate_json(json.dumps(value, default=str))
    except ValidationError as error:
        known = sorted(_field_names(expected))
        problems += [_describe(item, where, known) for item in error.errors()]
        return None


def _section(
    document: dict[str, Any], name: str, expected: type[P], problems: list[str]
) -> P | None:
    if name not in document:
        near = difflib.get_close_matches(name, document, n=1)
        problems.append(
            f"{name}: section missing" + (f"; is `{near[0]}` a typing error?" if near else "")
        )
        return None
    return parse(document[name], expected, name, problems)


def _describe(item: Any, where: str, known: list[str]) -> str:
    key = ".".join([where, *(str(part) for part in item["loc"])])
    if item["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        if key in RENAMED:
            return f"{key}: unknown; did you mean {RENAMED[key]}?"
        near = difflib.get_close_matches(str(item["loc"][-1]), known, n=1)
        return f"{key}: unknown" + (f"; did you mean {near[0]}?" if near else "")
    if item["type"] in ("missing", "missing_argument"):
        return f"{key}: missing"
    return f"{key}: {item['msg'][0].lower()}{item['msg'][1:]}, got {item['input']!r}"


def _field_names(expected: Any) -> set[str]:
    """Field names of a dataclass and of the dataclasses nested anywhere in its field types."""
    names: set[str] = set()
    for argument in typing.get_args(expected):
        names |= _field_names(argument)
    if dataclasses.is_dataclass(expected):
        for name, hint in typing.get_type_hints(expected).items():
            names |= {name} | _field_names(hint)
    return names
