"""Front matter: the metadata at the start of a Markdown file, as YAML or TOML.

YAML stands between `---` and `---` or `...`, TOML between `+++` and `+++`. Values stay as they are written:
`2024` and `yes` are texts. A list becomes one text, its items separated by commas. Nothing is metadata
that is neither a mapping nor empty: the text between two rules of a page stays text.
"""

import re
from functools import lru_cache
from typing import Any, NamedTuple

LONGEST = 65_536
"""Most characters of front matter that is read. Of a longer one, only the line of the title is."""
# Lines between `---` and `---` or `...` at the very start. Example: "---\ntitle: Iron\n---\n".
# Group 1 holds the lines.
YAML_FRONT = re.compile(
    r"---[ \t]*\n"
    r"(.*?)"
    r"^(?:---|\.\.\.)[ \t]*(?:\n|\Z)",
    re.DOTALL | re.MULTILINE,
)
# The same for TOML. Example: "+++\ntitle = 'Iron'\n+++\n".
TOML_FRONT = re.compile(
    r"\+\+\+[ \t]*\n"
    r"(.*?)"
    r"^\+\+\+[ \t]*(?:\n|\Z)",
    re.DOTALL | re.MULTILINE,
)
# The line of the title, where the whole cannot be read. Examples: `title: Iron: a metal`, `title = "Iron"`.
# Group 1 is the title without quotation marks.
TITLE = re.compile(r"^title[ \t]*[:=][ \t]*[\"']?(.*?)[\"']?[ \t]*$", re.MULTILINE)
# A line that begins with a key. Examples: `author: A. Smith`, `date = 2024-01-01`.
KEY = re.compile(r"[\w-]+[ \t]*[:=]")


class FrontMatter(NamedTuple):
    """The metadata of a file."""

    title: str
    """The title, or an empty text."""
    fields: dict[str, str]
    """Texts by their keys."""
    end: int
    """Number of characters of the file that are metadata."""


NONE = FrontMatter("", {}, 0)


@lru_cache(maxsize=1)  # a document's blocks and its cells both need it
def of(text: str) -> FrontMatter:
    """Return the front matter of a text. Where there is none, its title is empty and its end is 0."""
    front = YAML_FRONT.match(text)
    if front:
        return read(front[1], front.end(), yaml_values(front[1]))
    front = TOML_FRONT.match(text)
    if front:
        return read(front[1], front.end(), toml_values(front[1]))
    return NONE


def read(lines: str, end: int, values: Any) -> FrontMatter:
    """Return the front matter of these lines.

    `values`: what the lines state. None: they could not be read.
    """
    if isinstance(values, dict):
        fields = {}
        for key, value in values.items():
            text = text_of(value)
            if text:
                fields[str(key)] = text
        return FrontMatter(fields.get("title", ""), fields, end)
    first = lines.strip().partition("\n")[0]
    if values is not None or not (first == "" or first.startswith("#") or KEY.match(first)):
        # These lines are text between two rules, such as "---\n\nIron rusts.\n\n---\n".
        return FrontMatter("", {}, end) if not lines.strip() else NONE
    title = TITLE.search(lines)
    return FrontMatter(title[1] if title else "", {}, end)


def text_of(value: Any) -> str:
    """Return the text of a value on one line. A list of texts is separated by commas."""
    if isinstance(value, dict) or value is None:
        return ""
    if isinstance(value, list):
        items = (text_of(item) for item in value if not isinstance(item, list))
        return ", ".join(item for item in items if item)
    return " ".join(str(value).split())


def yaml_values(lines: str) -> Any:
    """Return what YAML states, all values as texts. None: it cannot be read, or is too long."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if len(lines) > LONGEST:
        return None
    if not lines.strip():
        return {}
    try:
        # `base` makes texts, lists and mappings only.
        return YAML(typ="base", pure=True).load(lines)
    except (YAMLError, ValueError, RecursionError):
        return None


def toml_values(lines: str) -> Any:
    """Return what TOML states. None: it cannot be read, or is too long."""
    import tomllib

    if len(lines) > LONGEST:
        return None
    try:
        return tomllib.loads(lines)
    except (ValueError, RecursionError):  # also Python's, for a number of too many digits
        return None
