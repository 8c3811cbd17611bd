"""What personal data is replaced with: its kind, a mask, or a token that only the owner of the salt
can link to a person.

A token is HMAC-SHA256 (RFC 2104) of source, kind and canonical form under a salt that comes from
the environment alone, cut to 48 bits. Among a million persons of a source, any two share a token
with a probability of 0.2 %. Anybody who has the salt can try out names, so it is a secret like a
password.
"""

import hmac
import os
import re

from stages.clean.span import Span
from stages.core.project.errors import ParamsError

SALT = "LOREKEEP_SALT"
"""The environment variable that holds the salt."""
SHORTEST_SALT = 16
NUMBERS = {"phone", "ssn", "resident_id", "passport", "id", "card", "iban"}
"""Kinds that keep their last four characters in a mask."""
PLACED = re.compile(r"<[A-Z_]{2,20}(?:_[0-9a-f]{12})?>")
"""What `replaced` and `hashed` leave: <PERSON>, <PERSON_3f9a1c2b7d40>.

Nothing is looked for in it again.
"""
TOKEN = re.compile(r"<[A-Z_]{2,20}_[0-9a-f]{12}>")
"""What `hashed` leaves: <PERSON_3f9a1c2b7d40>."""
KEPT = 4
"""Last characters of a number that a mask keeps."""
FEWEST_TO_KEEP = 8
"""Fewest letters and digits of a number that keeps some in a mask."""


def salt_from_environment() -> bytes:
    """The salt. Raises ParamsError where there is none, or one that is short enough to be guessed."""
    salt = os.environ.get(SALT, "").encode()
    if len(salt) < SHORTEST_SALT:
        state = f"is shorter than {SHORTEST_SALT} characters" if salt else "is not set"
        raise ParamsError(
            f"clean.personal.actions: hash needs a secret salt, and the environment variable {SALT} {state}; "
            "make one with `openssl rand -hex 32`, keep it where secrets are kept, and export it "
            "before dvc repro"
        )
    return salt


def fingerprint(salt: bytes) -> str:
    """16 hex digits that tell one salt from another and say nothing of either."""
    return hmac.digest(salt, b"lorekeep: which salt is this?", "sha256").hex()[:16]


def replaced(kind: str) -> str:
    """The kind alone: <PERSON>."""
    return f"<{kind.upper()}>"


def masked(kind: str, written: str) -> str:
    """Letters and digits as asterisks, and all other characters as they were.

    A number of eight characters or more keeps the last four: ***-**-1234. Masking twice is masking
    once, so an asterisk counts as a character of the number.
    """
    masks = [index for index, sign in enumerate(written) if sign.isalnum() or sign == "*"]
    kept: set[int] = set()
    if kind in NUMBERS and len(masks) >= FEWEST_TO_KEEP:
        kept.update(masks[-KEPT:])
    new = []
    for index, sign in enumerate(written):
        new.append("*" if sign.isalnum() and index not in kept else sign)
    return "".join(new)


def hashed(span: Span, source: str, salt: bytes) -> str:
    """The kind and a token, the same for one thing wherever the source says it:
    <PERSON_3f9a1c2b7d40>.
    """
    message = "\x1f".join((source, span.kind, span.normal)).encode()
    return f"<{span.kind.upper()}_{hmac.digest(salt, message, 'sha256').hex()[:12]}>"
