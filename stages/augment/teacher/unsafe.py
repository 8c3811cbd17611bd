"""What belongs into no text that is trained on: control characters, addresses, orders to a model, marks of prompts."""

import re
import unicodedata
from typing import NamedTuple

from stages.core.records.record import fold

ADDRESS = re.compile(
    r"https?:|www\.|[\w.+-]+@[\w-]+\.\w|\b[\w-]+\.(?:com|org|net|io|cn|ai)\b", re.IGNORECASE
)
# Orders to a model, and a model that speaks about itself.
INSTRUCTION = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}\b(?:instruction|previous|above|prior|rule|prompt)"
    r"|\bsystem prompt\b|\b(?:as|i am|i'm) an? (?:ai|language model|assistant)\b|\bmy (?:instructions|training)\b"
    r"|\byou (?:must|should) (?:now |always |only )?(?:answer|say|reply|respond|output|ignore|obey)\b"
    r"|\bi (?:cannot|can't|am unable to|am sorry)\b|\bhere (?:is|are) (?:the|your|\w+) (?:pattern|question|paraphrase|answer)"
    r"|忽略.{0,12}(?:指令|指示|规则|以上|之前)|无视.{0,12}(?:指令|指示|规则)|系统提示|作为(?:一个)?(?:AI|人工智能|语言模型)"
    r"|你(?:必须|应该)(?:回答|说|输出)|以下是.{0,8}(?:句型|问题|复述|答案)",
    re.IGNORECASE,
)
MARKER = re.compile(
    r"\b(?:question|answer|assistant|user|system)\s*[::]|<\|?/?[a-z_]+\|?>|\[/?inst\]",
    re.IGNORECASE,
)


class Refusal(NamedTuple):
    """Why an item is refused."""

    reason: str
    """One of `REASONS`."""
    evidence: str


def unsafe(text: str) -> Refusal | None:
    """Refuse what belongs into no text that is trained on: control characters, addresses, orders, marks."""
    if not text.strip():
        return Refusal("empty", "")
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
            return Refusal("control_character", f"U+{ord(character):04X}")
    address = ADDRESS.search(text)
    if address:
        return Refusal("address", address[0])
    # Folded, so that full-width letters hide nothing.
    folded = fold(text)
    order = INSTRUCTION.search(folded)
    if order:
        return Refusal("instruction", order[0])
    marker = MARKER.search(folded)
    if marker:
        return Refusal("prompt_marker", marker[0])
    return None


def gives_orders(text: str) -> bool:
    """Return whether a text of the records gives orders to a model. Nothing is asked about such a text."""
    return INSTRUCTION.search(fold(text)) is not None
