"""Chinese names of persons in context: behind 姓名, 我叫, 患者 and the like, or before 先生, 医生 and the like.

A name must begin with one of the most frequent surnames, and jieba's tagger (rjieba), which sees the words around it,
says whether it is one and where it ends; behind a label such as 姓名： a surname is enough.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from stages.clean.span import Span

SURNAMES = set(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆范汪廖石金韦贾夏付方邹"
    "熊白孟秦邱侯江尹薛闫段雷龙黎史陶贺毛郝顾龚邵万覃武钱戴严莫孔向常汤康易乔赖文施洪辛柯庄颜俞牛樊葛岳齐安"
)
COMPOUND = tuple(
    "欧阳 司马 上官 诸葛 司徒 东方 皇甫 尉迟 公孙 慕容 令狐 长孙 宇文 端木 夏侯".split()
)
HAN = re.compile(r"[\u3400-\u9fff]")
LABEL = re.compile(
    rf"(?:姓名|联系人|收件人|收货人|寄件人|监护人|户主|持卡人|签名|经办人)\s{{0,2}}[:：为是]?\s{{0,2}}({HAN.pattern}{{2,4}})"
)
BEFORE = re.compile(
    rf"(?:我叫|名叫|叫做|我是|名字是|名字叫|患者|病人|患儿|病员|原告|被告|家属)[:：]?({HAN.pattern}{{2,4}})"
)
BEHIND = re.compile(r"(?:先生|女士|小姐|医生|大夫|教授|主任|护士|老师|同志|医师)")


def find(text: str) -> Iterator[Span]:
    """Chinese names in context."""
    for found in LABEL.finditer(text):
        start = found.start(1)
        if name := tagged(text, start) or surnamed(found[1]).rstrip("男女"):
            yield Span(start, start + len(name), "person", name)
    for found in BEFORE.finditer(text):
        if name := tagged(text, found.start(1)):
            yield Span(found.start(1), found.start(1) + len(name), "person", name)
    for found in BEHIND.finditer(text):
        for start in range(max(0, found.start() - 4), found.start() - 1):
            name = text[start : found.start()]
            if surnamed(name) == name and tagged(text, start) == name:
                yield Span(start, found.start(), "person", name)
                break


def surnamed(written: str) -> str:
    """As many characters as a name has, if a surname begins them."""
    if written[:2] in COMPOUND:
        return written[:4]
    return written[:3] if written[0] in SURNAMES else ""


def tagged(text: str, start: int) -> str:
    """The name that begins at a place as jieba's tagger cuts its surroundings, or nothing."""
    begin = max(0, start - 6)
    if not surnamed(text[start : start + 4]):
        return ""
    at, words = begin, _tagger().tag(text[begin : start + 8])
    for number, (word, tag) in enumerate(words):
        if at == start and (tag.startswith("nr") or word in COMPOUND):
            name = (
                word
                if word not in COMPOUND
                else "".join(part for part, _ in words[number : number + 2])
            )
            name = name if name[-1] not in "因于在为的与和及男女说来" else name[:-1]
            return (
                name if re.fullmatch(rf"{HAN.pattern}{{2,4}}", name) and name[0] != name[1] else ""
            )
        at += len(word)
    return ""


@lru_cache(maxsize=1)
def _tagger() -> Any:
    import rjieba

    return rjieba.Jieba()
