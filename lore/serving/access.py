"""Tokens of access: who may ask. They come from the environment or from a file that only its owner reads.

They are compared in constant time, and all of them are compared each time. They stand in no log.
"""

import hmac
import ipaddress
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from stages.core.project.errors import InputError

VARIABLE = "LOREKEEP_TOKENS"
SHORTEST = 16
"""Characters of a token. A shorter one can be guessed."""
ANYONE = "anyone"
"""Name of all callers, where no token is needed."""
NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""The name of a token, such as `phone-app`."""
BEARER = "bearer "


class Access:
    """The tokens, by name."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        """`tokens` maps name to token. Without any, everyone may ask."""
        self._tokens = {name: token.encode() for name, token in tokens.items()}

    @property
    def is_open(self) -> bool:
        """Whether no token is needed."""
        return not self._tokens

    def name_of(self, authorization: str | None) -> str | None:
        """Return the name of the token in an Authorization header, or None where it has no right one."""
        if self.is_open:
            return ANYONE
        given = b""
        if authorization and authorization.lower().startswith(BEARER):
            given = authorization[len(BEARER) :].strip().encode("utf-8", "surrogateescape")
        found = None
        for name, token in self._tokens.items():
            # Without a break, so that the time does not tell which one it was.
            if hmac.compare_digest(token, given):
                found = name
        return found


def tokens_of(file: Path | None) -> dict[str, str]:
    """Return the tokens of a file, else those of the environment, by name.

    A line of the file, or a part between commas in the environment, is `name:token`. Raises InputError for
    a file that others can read, and for a token that is short, twice there, or has no name.
    """
    if file is None:
        where = VARIABLE
        parts = os.environ.get(VARIABLE, "").split(",")
    else:
        where = str(file)
        parts = text_of_private(file).splitlines()
    tokens: dict[str, str] = {}
    problems = []
    for number, part in enumerate(parts, start=1):
        written = part.strip()
        if not written or written.startswith("#"):
            continue
        # The messages repeat no token.
        name, separator, token = written.partition(":")
        name = name.strip()
        token = token.strip()
        if not separator or not NAME.fullmatch(name):
            problems.append(f"{where}, entry {number}: write name:token, such as phone-app:…")
        elif not token.isascii() or len(token) < SHORTEST:
            problems.append(
                f"{where}, entry {number} ({name}): the token needs {SHORTEST} ASCII characters or more; "
                "python -c 'import secrets; print(secrets.token_urlsafe(32))' makes one"
            )
        elif name in tokens:
            problems.append(f"{where}, entry {number}: the name {name} is there twice")
        elif token in tokens.values():
            problems.append(f"{where}, entry {number} ({name}): another name has the same token")
        else:
            tokens[name] = token
    if problems:
        raise InputError("\n".join(problems))
    if file is not None and not tokens:
        raise InputError(f"{file}: no token in it; write a line name:token")
    return tokens


def text_of_private(file: Path) -> str:
    """Return the text of a file. Raises InputError where others than its owner may read or write it."""
    try:
        mode = file.stat().st_mode
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: the tokens cannot be read ({error})") from None
    if stat.S_IMODE(mode) & 0o077:
        raise InputError(f"{file}: others may read it; chmod 600 {file}")
    return text


def is_loopback(host: str) -> bool:
    """Return whether an address is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_tokens(host: str, access: Access) -> None:
    """Raise InputError where a server would answer other machines without asking for a token."""
    if is_loopback(host) or not access.is_open:
        return
    raise InputError(
        f"--host {host}: other machines could ask without a token, so the server does not start; set "
        f"{VARIABLE}=name:token, or --tokens FILE, or leave --host out (127.0.0.1)"
    )
