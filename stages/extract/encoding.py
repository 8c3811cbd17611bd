"""The encoding of a text file that does not say it: `encoding: auto`.

A byte order mark decides; then zero bytes, which only UTF-16 has; then whether most lines beyond ASCII are UTF-8, which text in
another encoding hardly ever is. Of the older encodings, those of the source's language come first, then all below;
charset-normalizer (github.com/jawah/charset_normalizer) says under which a sample of the lines looks like text. The same file
always gives the same answer. A short text may fit several: then name the encoding.
"""

import codecs
from collections import Counter
from pathlib import Path

MARKS = {
    codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
"""UTF-32 before UTF-16: its mark begins with the other one."""
OF_LANGUAGE = {
    "zh": ["gb18030", "big5"], "ja": ["cp932", "euc_jp"], "ko": ["cp949"], "ru": ["cp1251", "koi8_r"], "und": [], "auto": [],
}  # fmt: skip
WESTERN = ["cp1252"]
"""What remains of Latin-1 where its control characters are read as what Windows put there."""
ALL = ["gb18030", "big5", *WESTERN]
EXPECTED, UNEXPECTED = 0.5, 0.2
"""How much mess, as charset-normalizer measures it, text in an encoding of the source's language may have, and in any other."""
SAMPLE = 2**16
"""Bytes that are looked at, of those lines that tell something."""


def resolved(encoding: str, path: Path, lang: str) -> str:
    """The encoding as it is set, or that of the file where `auto` is."""
    return detected(path, lang) if encoding == "auto" else encoding


def detected(path: Path, lang: str) -> str:
    """Python's name of a file's encoding: utf-8 (ASCII too), utf-16 …, gb18030 (GB 2312 and GBK too), big5, cp1252 …"""
    with path.open("rb") as file:
        start = file.read(SAMPLE)
    if mark := next((mark for mark in MARKS if start.startswith(mark)), None):
        return MARKS[mark]
    if b"\0" in start:
        return "utf-16-le" if start[1::2].count(0) >= start[::2].count(0) else "utf-16-be"
    valid, others = 0, list[bytes]()
    broken = size = 0
    with path.open("rb") as file:
        for line in file:
            if line.isascii():
                continue
            if is_text(line, "utf-8"):
                valid += 1
                continue
            broken += 1
            if size < SAMPLE:
                others.append(line)
                size += len(line)
    return "utf-8" if valid >= broken else older(others, lang)


def older(lines: list[bytes], lang: str) -> str:
    """The encoding, from before Unicode, of lines that are not UTF-8."""
    for candidates, mess in ((OF_LANGUAGE.get(lang, WESTERN), EXPECTED), (ALL, UNEXPECTED)):
        if candidates and (name := likeliest(b"".join(lines), candidates, mess)):
            return name
    votes = Counter(
        name for line in lines if (name := likeliest(line, ALL, UNEXPECTED))
    )  # one line may be of none
    return votes.most_common(1)[0][0] if votes else "cp1252"


def likeliest(content: bytes, candidates: list[str], mess: float) -> str | None:
    """The candidate under which the bytes look most like text, or None where each has as much mess."""
    from charset_normalizer import from_bytes

    match = from_bytes(
        content,
        cp_isolation=candidates,
        threshold=mess,
        enable_fallback=False,
        preemptive_behaviour=False,
    ).best()
    return None if match is None or match.encoding not in candidates else match.encoding


def is_text(content: bytes, encoding: str) -> bool:
    """Whether bytes are of an encoding."""
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
