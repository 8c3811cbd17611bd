"""What do dates and quantities in running text cost? Texts a second on one core, against a plain `re.search` of the same texts.

    PYTHONPATH=. python docs/experiments/span_speed.py <folder of the real data>

The texts of spans.py, in pieces of 1 kB (UTF-8), by language. "None": the same pieces with everything taken out that hints at a
date or a quantity. The plain search is for a run of 99 digits, which no text holds, so that it reads each to its end. The best of
five rounds.
"""

import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import spans

from stages.clean.values import hints
from stages.clean.values.rewriting import Params, rewritten_texts

SIZE = 1000
MOST = 3000
ROUNDS = 5
BOTH = Params(dates=True, units=["mg", "cm", "day", "°C"])
NEVER = re.compile(r"\d{99}")


def pieces(root: Path, chinese: bool) -> list[str]:
    """Up to `MOST` pieces of 1 kB of the texts of a language."""
    texts = (
        text
        for folder, (pattern, _) in spans.READERS.items()
        if (folder in spans.CHINESE) == chinese
        for path in sorted((root / folder).glob(pattern))
        for text in spans.units(root, path.relative_to(root).as_posix())
    )
    whole = "\n".join(texts).encode()
    cut = (
        whole[start : start + SIZE].decode(errors="ignore")
        for start in range(0, len(whole) - SIZE, SIZE)
    )
    return [piece for piece, _ in zip(cut, range(MOST), strict=False)]


def bare(text: str, lang: str) -> str:
    """The text with no hint in it, as long as before."""
    for pattern in map(re.compile, (hints.DATES[lang], hints.quantities(lang, tuple(BOTH.units)))):
        while pattern.search(text):
            text = pattern.sub(lambda match: "x" * len(match.group()), text)
    return text


def rate(work: Callable[[list[str]], object], texts: list[str]) -> float:
    """Texts a second."""
    best = min(_seconds(work, texts) for _ in range(ROUNDS))
    return len(texts) / best


def _seconds(work: Callable[[list[str]], object], texts: list[str]) -> float:
    start = time.process_time()
    work(texts)
    return time.process_time() - start


def lines(root: Path) -> Iterator[str]:
    """The table, in Markdown."""
    yield "| texts | pieces | searched/s | recognised and rewritten/s | ratio |\n|---|---|---|---|---|"
    for lang in ("en", "zh"):
        texts = pieces(root, lang == "zh")
        for name, group in (
            (f"{lang}, none", [bare(text, lang) for text in texts]),
            (f"{lang}, as they are", texts),
        ):
            plain = rate(lambda some: [NEVER.search(text) for text in some], group)
            ours = rate(lambda some: rewritten_texts(pl.Series(some), lang, BOTH, 4, None), group)  # noqa: B023
            yield f"| {name} | {len(group)} | {plain:,.0f} | {ours:,.0f} | {plain / ours:.1f} |"


if __name__ == "__main__":
    print("\n".join(lines(Path(sys.argv[1]))))
