"""Chinese names of persons in context: behind 姓名, 我叫, 患者 and the like, or before 先生, 医生 and the
like.

A name must begin with one of the most frequent surnames, and jieba's tagger (rjieba), which sees
the words around it, says whether it is one and where it ends; behind a label such as 姓名： a surname
is enough.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from stages.clean.span import Span
from stages.clean.tables import read_words

DATA = Path(__file__).parent / "data"
SURNAMES = frozenset(read_words(DATA / "chinese_surnames.txt"))
"""Of one character: 王."""
COMPOUND = read_words(DATA / "chinese_compound_surnames.txt")
"""Of two characters: 欧阳."""
HAN = re.compile(r"[\u3400-\u9fff]")
LABEL = re.compile(
    "(?:姓名|联系人|收件人|收货人|寄件人|监护人|户主|持卡人|签名|经办人)"
    r"\s{0,2}[:：为是]?\s{0,2}"
    rf"({HAN.pattern}{{2,4}})"
)
"""姓名：欧阳娜娜. The group is where the name begins."""
BEFORE = re.compile(
    "(?:我叫|名叫|叫做|我是|名字是|名字叫|患者|病人|患儿|病员|原告|被告|家属)"
    rf"[:：]?({HAN.pattern}{{2,4}})"
)
"""我叫李小明."""
BEHIND = re.compile(r"(?:先生|女士|小姐|医生|大夫|教授|主任|护士|老师|同志|医师)")
"""Words that stand behind a name: the 医生 of 王小明医生."""
NAME = re.compile(rf"{HAN.pattern}{{2,4}}")
NEVER_LAST = "因于在为的与和及男女说来"
"""Characters that the tagger takes into a name but that end none: 张三因."""
LONGEST = 4
"""Characters of a name."""


def find(text: str) -> Iterator[Span]:
    """Chinese names in context. They may overlap."""
    for match in LABEL.finditer(text):
        start = match.start(1)
        name = tagged(text, start) or surnamed(match[1]).rstrip("男女")
        if name:
            yield Span(start, start + len(name), "person", name)
    for match in BEFORE.finditer(text):
        start = match.start(1)
        if name := tagged(text, start):
            yield Span(start, start + len(name), "person", name)
    for match in BEHIND.finditer(text):
        end = match.start()
        for start in range(max(0, end - LONGEST), end - 1):  # the longest name first
            name = text[start:end]
            if surnamed(name) == name and tagged(text, start) == name:
                yield Span(start, end, "person", name)
                break


def surnamed(written: str) -> str:
    """As many characters as a name has, if a surname begins them. Otherwise an empty text."""
    if written[:2] in COMPOUND:
        return written[:LONGEST]
    return written[:3] if written[0] in SURNAMES else ""


def tagged(text: str, start: int) -> str:
    """The name that begins at `start`, as jieba's tagger cuts the text around it, or an empty text."""
    if not surnamed(text[start : start + LONGEST]):
        return ""
    at = max(0, start - 6)
    words = _tagger().tag(text[at : start + 8])
    for number, (word, tag) in enumerate(words):
        if at == start and (tag.startswith("nr") or word in COMPOUND):
            following = words[number + 1][0] if number + 1 < len(words) else ""
            # The tagger cuts a compound surname from the rest of the name.
            return _trimmed(word + following if word in COMPOUND else word)
        at += len(word)
    return ""


def _trimmed(name: str) -> str:
    """The name without a last character that ends no name. Empty for what then is none."""
    if name[-1] in NEVER_LAST:
        name = name[:-1]
    if not NAME.fullmatch(name) or name[0] == name[1]:
        return ""
    return name


@cache
def _tagger() -> Any:
    import rjieba

    return rjieba.Jieba()
