"""Read and write YAML files so that their comments, quotes and form stay."""

import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter

from stages.core.project.output import replacing
from stages.core.project.params import read_yaml

UNFOLDED = 4096
"""Characters of a line. None is so long, so no line is folded."""


class Explicit(RoundTripRepresenter):
    """Writes `null` where ruamel.yaml leaves the value out.

    It is a class of its own, because a representer is added to a class and so for all who use it.
    """


def write_null(writer: RoundTripRepresenter, _: None) -> ScalarNode:
    """Write None as the word `null`."""
    return writer.represent_scalar("tag:yaml.org,2002:null", "null")


Explicit.add_representer(type(None), write_null)


def read(path: Path) -> Any:
    """Read a YAML mapping with its comments. Raises ParamsError where there is none."""
    return read_yaml(path, round_trip())


def write(path: Path, document: Any) -> None:
    """Write a YAML file in one step: it is replaced whole, or stays as it was."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        round_trip().dump(document, stream)


def text(document: Any) -> str:
    """Return a document as YAML."""
    stream = io.StringIO()
    round_trip().dump(document, stream)
    return stream.getvalue()


def round_trip() -> YAML:
    """Return a reader and writer that keeps comments, quotes and the form of params.yaml."""
    yaml = YAML()
    yaml.Representer = Explicit
    yaml.preserve_quotes = True
    yaml.width = UNFOLDED
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml
