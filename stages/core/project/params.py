"""params.yaml → one frozen dataclass per stage; every mistake is reported at once.

A stage sees its own section and `run`, nothing else. `load` returns just these two, so a stage
cannot read a setting that DVC does not know it depends on.

params.yaml states every key. A key that is missing there has the default of the dataclass, so that
the stages also work as a library: `quantize.Params()`.
"""

import dataclasses
import difflib
import json
import typing
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from ruamel.yaml import YAML
from ruamel.yaml.error import ReusedAnchorWarning, YAMLError

from stages.core.project.errors import ParamsError

STRICT = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)
"""Config of every `Params`: `@dataclass(frozen=True, config=STRICT)` with pydantic's dataclass."""
UNKNOWN_KEY = ("unexpected_keyword_argument", "extra_forbidden")
MISSING_KEY = ("missing", "missing_argument")
"""What pydantic calls these errors, in dataclasses and in other types."""
NO_YAML = (YAMLError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError)
"""What the YAML parser raises: its own error, and those of Python for a date that no calendar has, such as
2021-02-30, for a number that is too long, for a tag such as `!!int` before a word, and for deep nesting."""
MOST_VALUES = 1_000_000
"""Most values of a YAML file, with its keys, and with its aliases written out."""
MOST_BITS = 3322
"""Most bits of a whole number in a YAML file: 1,000 digits."""

P = TypeVar("P")


@dataclass(frozen=True, config=STRICT)
class Run:
    """The `run` section: what every stage shares."""

    seed: int = 20260701
    """Root of all random numbers. Each record's own generator derives from (seed, record id).
    Another value gives another, equally valid, model."""
    threads: int = 2
    """Threads of torch, BLAS and OpenMP. On fewer cores the result is the same to the bit, only later.
    Another number may change the last bits, so stages depend on it."""
    isa: Literal["avx2", "default"] = "avx2"
    """Instruction set of the numeric kernels. `avx2` runs on any x86-64 CPU since 2015. `default` is the
    plainest path of each library (SSE2, NEON): slower, for machines without AVX2."""
    device: Literal["cpu", "auto"] = "cpu"
    """`cpu`: the same bits everywhere. `auto`: a GPU where there is one. Hashes then belong to that kind
    of GPU."""
    executor: Literal["local", "ray"] = "local"
    """What runs the batches of a large corpus in `clean`. `local`: `threads` threads and processes of this
    machine. `ray`: a Ray cluster (`make setup` installs Ray, or `pip install .[ray]`), which replaces a
    worker that dies. Both give the same bytes, so a change makes no stage run again. On one machine
    `local` is faster, above all for a few megabytes: Ray takes seconds to start."""
    address: str | None = None
    """The Ray cluster, for `ray`. null: one on this machine, with `threads` workers. `auto`: the cluster
    that already runs here. `host:port`: from a node of the cluster. `ray://host:port`: from elsewhere.
    Every node must see the project's folder, with `data/`, under the same path, such as a network
    drive. No byte depends on it."""


RENAMED = {
    "run.engine": "did you mean run.executor?",
    "train.deepspeed": (
        "it is train.share now: write share: zero2 for deepspeed: 2, share and the same mapping for a mapping, and "
        "for null share: null with one process or share: ddp with several"
    ),
}
"""Former key → its present name, and what to write."""


def load(stage: str, params_type: type[P], path: Path = Path("params.yaml")) -> tuple[P, Run]:
    """Read the section `stage` and `run` of `path`.

    Raises ParamsError, which lists every unknown, missing or ill-typed key of the two with its path.
    For an unknown key it also names the nearest known one.
    """
    document = read_yaml(path)
    problems: list[str] = []
    run = _section(document, "run", Run, problems)
    section = _section(document, stage, params_type, problems)
    if run is None or section is None:
        raise _all_in_one(path, problems)
    return section, run


def read_section(name: str, expected: type[P], path: Path = Path("params.yaml")) -> P:
    """Read one section alone. Raises ParamsError as `load` does."""
    problems: list[str] = []
    section = _section(read_yaml(path), name, expected, problems)
    if section is None:
        raise _all_in_one(path, problems)
    return section


def read_yaml(path: Path, reader: YAML | None = None) -> dict[str, Any]:
    """Parse a YAML 1.2 mapping, as DVC does: `2e-3` is a number.

    Another `reader` may keep comments. Raises ParamsError where the file cannot be read or is no mapping.
    """
    if reader is None:
        reader = YAML(typ="safe")
    try:
        with warnings.catch_warnings():
            # YAML lets an anchor be set again. An alias means the newest one (YAML 1.2.2, section 7.1).
            warnings.simplefilter("ignore", ReusedAnchorWarning)
            document = reader.load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{path}: not found; run from the project's root folder") from None
    except OSError as error:
        raise ParamsError(f"{path}: cannot be read: {error.strerror}") from None
    except (YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ParamsError(f"{path}: not readable as YAML: {reason}") from None
    except RecursionError:
        raise ParamsError(f"{path}: nested too deep to be read; write it flatter") from None
    except NO_YAML as error:
        raise ParamsError(
            f"{path}: a date, number or tag in it cannot be read: {error}; "
            "mend it, or put quotation marks around it if it is text"
        ) from None
    if not isinstance(document, dict):
        raise ParamsError(f"{path}: expected a mapping of sections at the top level")
    excess = excess_in(document)
    if excess:
        raise ParamsError(f"{path}: holds {excess}")
    wrong_keys = list(keys_that_are_no_text(document))
    if wrong_keys:
        shown = ", ".join(wrong_keys)
        raise ParamsError(f"{path}: keys must be words, numbers or dates; found {shown}")
    return document


def excess_in(document: Any) -> str:
    """Say what is too large in a parsed YAML document. Empty: nothing is.

    Examples: `a: &x [*x]`, which holds itself, lists of aliases of lists of aliases, and numbers that
    Python refuses to write.
    """
    count = 0
    open_values = [document]
    while open_values:
        value = open_values.pop()
        count += 1
        if count > MOST_VALUES:
            return (
                f"more than {MOST_VALUES:,} values; an alias (`*name`) may stand inside its own "
                "anchor (`&name`), so write the values out"
            )
        if isinstance(value, int) and value.bit_length() > MOST_BITS:
            return "a number of more than 1,000 digits; put quotation marks around it if it is text"
        if isinstance(value, dict):
            open_values += value.keys()
            open_values += value.values()
        elif isinstance(value, list):
            open_values += value
    return ""


def keys_that_are_no_text(value: Any) -> Iterator[str]:
    """Yield the keys in a parsed YAML document that are lists or mappings, as YAML allows: `{[a]: b}`."""
    if isinstance(value, dict):
        for key, part in value.items():
            if isinstance(key, tuple | dict | list):
                yield str(list(key))
            yield from keys_that_are_no_text(part)
    elif isinstance(value, list):
        for part in value:
            yield from keys_that_are_no_text(part)


def parse(value: Any, expected: type[P], where: str, problems: list[str]) -> P | None:
    """Validate `value` as `expected`; on failure append one line per problem and return None.

    Each line starts with `where`, such as `train`, and goes on with the key's path below it.
    """
    try:
        # As JSON, because pydantic's strict mode takes mappings for dataclasses only there.
        return TypeAdapter(expected).validate_json(json.dumps(value, default=str))
    except ValidationError as error:
        known = sorted(_field_names(expected))
        for item in error.errors():
            problems.append(_describe(item, where, known))
        return None


def _section(
    document: dict[str, Any], name: str, expected: type[P], problems: list[str]
) -> P | None:
    if name in document:
        return parse(document[name], expected, name, problems)
    near = difflib.get_close_matches(name, document, n=1)
    hint = f"; is `{near[0]}` a typing error?" if near else ""
    problems.append(f"{name}: section missing{hint}")
    return None


def _all_in_one(path: Path, problems: list[str]) -> ParamsError:
    lines = [f"{path}:"]
    for problem in problems:
        lines.append(f"  {problem}")
    return ParamsError("\n".join(lines))


def _describe(item: Any, where: str, known: list[str]) -> str:
    """One line for an error of pydantic, such as `train.steps: missing`."""
    parts = [str(part) for part in item["loc"]]
    key = ".".join([where, *parts])
    if item["type"] in UNKNOWN_KEY and key in RENAMED:
        return f"{key}: unknown; {RENAMED[key]}"
    if item["type"] in UNKNOWN_KEY:
        if parts[-1] in known:
            return f"{key}: unknown"  # it is the name of a key of another kind
        near = difflib.get_close_matches(parts[-1], known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"{key}: unknown{hint}"
    if item["type"] in MISSING_KEY:
        return f"{key}: missing"
    message = item["msg"][0].lower() + item["msg"][1:]
    return f"{key}: {message}, got {item['input']!r}"


def _field_names(expected: Any) -> set[str]:
    """Field names of a dataclass and of the dataclasses nested anywhere in its field types."""
    names: set[str] = set()
    for argument in typing.get_args(expected):
        names |= _field_names(argument)
    if dataclasses.is_dataclass(expected):
        for name, hint in typing.get_type_hints(expected).items():
            names.add(name)
            names |= _field_names(hint)
    return names
