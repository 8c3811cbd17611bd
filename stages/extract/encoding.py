"""The encoding of a text file that does not declare it: `encoding: auto`.

1. A byte order mark decides.
2. Zero bytes occur in UTF-16 only.
3. The file is UTF-8 where at least half of its lines beyond ASCII are valid UTF-8. Text in another
   encoding hardly ever is.
4. Otherwise the file has an older encoding. Those of the source's language come first, then those
   of `data/encodings.yaml` for any language. charset-normalizer
   (github.com/jawah/charset_normalizer) says under which of them a sample looks like text.

The same file always gives the same answer. A short text may fit several encodings: then name the
encoding in params.yaml.
"""

import codecs
from collections import Counter
from pathlib import Path

from stages.core.project.params import read_yaml

# UTF-32 stands before UTF-16, because its mark begins with the mark of UTF-16.
MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order mark → encoding."""
TABLE = read_yaml(Path(__file__).parent / "data" / "encodings.yaml")
OF_LANGUAGE: dict[str, list[str]] = TABLE["languages"]
WESTERN: list[str] = TABLE["western"]
EVERY: list[str] = TABLE["every"]
EXPECTED_MESS = 0.5
"""Most mess, as charset-normalizer measures it, under an encoding of the source's language."""
UNEXPECTED_MESS = 0.2
"""Most mess under any other encoding."""
SAMPLE = 2**16
"""Bytes that are examined, of lines that are not valid UTF-8."""


def resolved(encoding: str, path: Path, lang: str) -> str:
    """Return the encoding from the settings, or the detected one where it is `auto`."""
    return detected(path, lang) if encoding == "auto" else encoding


def detected(path: Path, lang: str) -> str:
    """Return Python's name of a file's encoding.

    utf-8 covers ASCII too, and gb18030 covers GB 2312 and GBK.
    """
    with path.open("rb") as file:
        start = file.read(SAMPLE)
    for mark, encoding in MARKS.items():
        if start.startswith(mark):
            return encoding
    if b"\0" in start:
        # The zero byte is the upper half of a Latin letter: in little endian it comes second.
        little_endian = start[1::2].count(0) >= start[::2].count(0)
        return "utf-16-le" if little_endian else "utf-16-be"
    utf8_lines = other_lines = 0
    sample: list[bytes] = []
    sample_size = 0
    with path.open("rb") as file:
        for line in file:
            if line.isascii():
                continue
            if is_text(line, "utf-8"):
                utf8_lines += 1
                continue
            other_lines += 1
            if sample_size < SAMPLE:
                sample.append(line)
                sample_size += len(line)
    return "utf-8" if utf8_lines >= other_lines else older(sample, lang)


def older(lines: list[bytes], lang: str) -> str:
    """Return the encoding of lines that are not UTF-8. cp1252 where none fits."""
    content = b"".join(lines)
    expected = OF_LANGUAGE.get(lang, WESTERN)
    encoding = None
    if expected:
        encoding = likeliest(content, expected, EXPECTED_MESS)
    if encoding is None:
        encoding = likeliest(content, EVERY, UNEXPECTED_MESS)
    if encoding is not None:
        return encoding
    # Perhaps one line is broken, so each line is asked alone, and the majority decides.
    votes: Counter[str] = Counter()
    for line in lines:
        vote = likeliest(line, EVERY, UNEXPECTED_MESS)
        if vote is not None:
            votes[vote] += 1
    return votes.most_common(1)[0][0] if votes else "cp1252"


def likeliest(content: bytes, candidates: list[str], mess: float) -> str | None:
    """Return the candidate under which bytes look most like text. None: all give too much mess."""
    from charset_normalizer import from_bytes

    match = from_bytes(
        content,
        cp_isolation=candidates,
        threshold=mess,
        enable_fallback=False,
        preemptive_behaviour=False,
    ).best()
    if match is None or match.encoding not in candidates:
        return None
    return match.encoding


def is_text(content: bytes, encoding: str) -> bool:
    """Whether bytes are valid in an encoding."""
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
