"""How often is the language that is found the one that the source declares? `lang: auto` on real data.

    PYTHONPATH=. python docs/experiments/languages.py <folder of the real data>

From the project's root. The mappings are those of scenarios/ and of real_data.yaml; sources that declare no language and those
that an engine reads are left out. A line a source, once with `langs: [en, zh]` and once without: records, the share found as
declared, the share without a language, the others with their counts, and microseconds of the processor a record.
"""

import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from real_data import RECOGNISED, overlays, settings

from stages.core.project.errors import LorekeepError
from stages.extract import Params, files_of, records_of, units_of
from stages.extract.language import UNDETERMINED, detected, model


def texts_of(source: Any, root: Path) -> list[str]:
    """Texts of the records of a source."""
    files = files_of(Params(sources=[source]), root)[source.name]
    texts = []
    for unit, path in units_of(source, files, root):
        for row in records_of(unit, source, path):
            if "reason" not in row:
                texts.append(row["text"])
    return texts


def line(name: str, declared: str, texts: list[str], langs: tuple[str, ...] | None) -> str:
    """One line of the table."""
    started = time.process_time()
    counts = Counter(detected(text, langs) for text in texts)
    microseconds = (time.process_time() - started) / len(texts) * 1e6
    others = []
    for lang, count in counts.most_common():
        if lang not in (declared, UNDETERMINED):
            others.append(f"{lang} {count}")
    right, none = counts[declared] / len(texts), counts[UNDETERMINED] / len(texts)
    among = ", ".join(langs) if langs else "all"
    return (
        f"| {name} | {declared} | {len(texts):,} | {among} | {right:.3f} | {none:.3f} "
        f"| {', '.join(others)} | {microseconds:.0f} |"
    )


def main() -> None:
    """Print the table."""
    root = Path(sys.argv[1]).resolve()
    model()
    print("| source | declared | records | langs | as declared | und | others | µs |")
    print("|---|---|---|---|---|---|---|---|")
    for folder, overlay in sorted(overlays().items()):
        for source in settings(overlay)[0].sources:
            if source.kind in RECOGNISED or source.lang == UNDETERMINED:
                continue
            try:
                texts = texts_of(source, root)
            except LorekeepError:
                continue
            for langs in (("en", "zh"), None) if texts else ():
                print(line(f"{folder}: {source.name}", source.lang, texts, langs), flush=True)


if __name__ == "__main__":
    main()
