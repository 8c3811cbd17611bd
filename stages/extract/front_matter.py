"""Front matter: the metadata at the start of a Markdown file, as YAML or TOML.

YAML stands between `---` and `---` or `...`, TOML between `+++` and `+++`. Values stay as they are written:
`2024` and `yes` are texts. A list becomes one text, its items separated by commas. Nothing is metadata
that is neither a mapping nor empty: the text between two rules of a page stays text.
"""

import re
from collections import Counter
from functools import lru_cache
from typing import Any, NamedTuple

LONGEST = 65_536
"""Most characters of front matter that is read. Of a longer one, only entries of one line are."""
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
# A line with a key and its value, where the whole cannot be read. No further line belongs to the value.
# Examples: `title: Iron: a metal`, `title = "Iron"`. Group 1 is the key, group 2 its value without
# quotation marks.
ENTRY = re.compile(
    r"^([\w-]+)[ \t]*[:=][ \t]*+"
    r"(?![|>&*!{\[])"  # a block, an anchor, a tag, a mapping or a list is no text of one line
    r"[\"']?(.*?)[\"']?[ \t]*$"
    r"(?!\n[ \t-])",
    re.MULTILINE,
)
# A key at the beginning of a line. Group 1 is the key.
TOP_KEY = re.compile(r"^([\w-]+)[ \t]*[:=]", re.MULTILINE)
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
    problem: str = ""
    """Why no entry can be relied on, such as a key that stands twice."""


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
        return FrontMatter(title_in(fields), fields, end)
    first = lines.strip().partition("\n")[0]
    if values is not None or not (first == "" or first.startswith("#") or KEY.match(first)):
        # These lines are text between two rules, such as "---\n\nIron rusts.\n\n---\n".
        return FrontMatter("", {}, end) if not lines.strip() else NONE
    entries = dict(ENTRY.findall(lines))
    fields = {key: text for key, text in entries.items() if text}
    counts = Counter(TOP_KEY.findall(lines))
    repeated = [key for key, count in counts.items() if count > 1]
    problem = ""
    # TOML has keys of one name in several tables, such as [author] and [editor].
    if repeated and "\n[" not in lines:
        problem = (
            f"the key {repeated[0]!r} stands more than once in the front matter; keep one of them"
        )
    return FrontMatter(title_in(fields), fields, end, problem)


def title_in(fields: dict[str, str]) -> str:
    """Return the title, whose key some programs write as `Title`."""
    for key, text in fields.items():
        if key.casefold() == "title":
            return text
    return ""


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
        return tomllib.loads(lines, parse_float=str)
    except (ValueError, RecursionError):  # also Python's, for a number of too many digits
        return None
