"""What a terminal may be told: no control sequences of data, commands that can be copied, progress.

A record, a file name or a commit message may hold anything, such as the sequence that clears a
screen or turns a line around. It is shown as an escape, so that it can be read and does nothing.
"""

import json
import re
import shlex
import sys
from typing import Any

# Characters that act instead of being shown:
# - C0 and C1 controls and DEL, such as ESC (\x1b), which begins a control sequence
# - marks that turn the direction of a line around, such as U+202E, and marks of no width
# - line and paragraph separators
# - halves of a character (surrogates), which stand for bytes that are no UTF-8
ACTING = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
# The same, but line ends and tabs may stay.
ACTING_IN_LINES = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff"
    "\ud800-\udfff]"
)
# Those that a JSON text may hold as they are, since json.dumps escapes the others.
ACTING_IN_JSON = re.compile(
    "[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def shown(text: str) -> str:
    r"""Return a text for one line of a terminal: each character that acts as its escape, `\x1b`."""
    return ACTING.sub(escape, text)


def shown_lines(text: str) -> str:
    """Return a text of several lines for a terminal. Line ends and tabs stay as they are."""
    return ACTING_IN_LINES.sub(escape, text)


def escape(match: re.Match[str]) -> str:
    r"""Return a character as Python writes it: `\n`, `\x1b`, `\u202e`."""
    character = match.group()
    if character == "\x7f" or ord(character) > 0x9F:
        number = ord(character)
        return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
    return character.encode("unicode_escape").decode("ascii")


def quoted(word: str) -> str:
    r"""Return a word of a command, quoted for a shell and on one line.

    `a b` becomes `'a b'`. A word with a character that acts becomes `$'a\nb'`, which bash, zsh and
    ksh read as the same word. Bytes that are no UTF-8 stay the same bytes.
    """
    if ACTING.search(word) is None:
        return shlex.quote(word)
    parts = []
    for character in word:
        if ACTING.search(character) is not None:
            # Byte by byte, since \u in $'…' depends on the locale.
            for byte in character.encode("utf-8", "surrogateescape"):
                parts.append(f"\\x{byte:02x}")
        elif character in "\\'":
            parts.append(f"\\{character}")
        else:
            parts.append(character)
    # Behind \x41, a letter of a hexadecimal number would be read as a part of it: bash takes two
    # digits at most, so none is.
    return f"$'{''.join(parts)}'"


def json_text(document: Any) -> str:
    """Return a document as JSON for people and machines. No character in it acts on a terminal."""
    text = json.dumps(document, ensure_ascii=False, indent=2)
    return ACTING_IN_JSON.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def progress(text: str) -> None:
    """Show what is being done now, in place of what was shown before. Empty text removes it.

    Nothing is shown where standard error is no terminal, so that logs stay short.
    """
    if not sys.stderr.isatty():
        return
    # \r goes to the beginning of the line, and \x1b[K clears the rest of it.
    print(f"\r\x1b[K{shown(text)}", end="", file=sys.stderr, flush=True)
