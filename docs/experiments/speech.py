"""How well does an engine hear real speech? Word error rate against the transcript beside each clip, and how sure it was.

    PYTHONPATH=. python docs/experiments/speech.py <folder of clips, each with its .txt> [<Whisper folder> [<language>]]

WER = edit distance over words / words of the transcript, both in lower case without punctuation, `mister` written `mr`; a Chinese
character is a word. Nothing is tuned: pocketsphinx with the model of its package, or a Whisper folder. Every clip is read as
extract reads it, as of that language (English), with no confidence asked for; a clip in another one shows what becomes of it.
"""

import os
import re
import sys
import tempfile
import time
from pathlib import Path

from nltk.metrics import distance

from stages.core.project import runtime
from stages.core.project.params import Run, read_section
from stages.extract.kinds.audio import Audio
from stages.extract.unit import Mapping

SUFFIXES = {".wav", ".flac"}


def main() -> None:
    """Read every clip and print a table."""
    with tempfile.TemporaryDirectory() as folder:  # what is remembered takes no time
        os.environ["LOREKEEP_MEMO"] = folder
        measure()


def measure() -> None:
    """Print the table."""
    runtime.prepare(read_section("run", Run))
    folder = Path(sys.argv[1])
    model = sys.argv[2] if len(sys.argv) > 2 else None
    lang = sys.argv[3] if len(sys.argv) > 3 else "en"
    source = source_of(lang, model, min_confidence=0.0)
    print("| clip | words | WER | confidence | s | heard |\n|---|---|---|---|---|---|")
    errors = words = 0
    for clip in sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES):
        truth = normal(clip.with_suffix(".txt").read_text(encoding="utf-8"))
        started = time.perf_counter()
        units = list(source.units(clip))
        seconds = time.perf_counter() - started
        heard = [word for unit in units for word in normal(unit.raw)]
        sure = ", ".join(f"{confidence:.2f}" for confidence in confidences(source, clip))
        wrong = distance.edit_distance(heard, truth)
        own = bool(truth) and truth[0].isascii() == (lang != "zh")
        if own:
            errors, words = errors + wrong, words + len(truth)
        rate = f"{wrong / len(truth):.2f}" if own else ""
        said = " ".join(heard) or "; ".join(unit.evidence for unit in units)
        print(
            f"| {clip.name} | {len(truth)} | {rate} | {sure} | {seconds:.1f} | {said} |", flush=True
        )
    print(f"| all in {lang} | {words} | {errors / words:.2f} | | | |\n{source.engine_version()}")


def source_of(lang: str, model: str | None, min_confidence: float) -> Audio:
    """The source of the clips: with a model it is heard by Whisper."""
    return Audio(
        kind="audio",
        name="clips",
        path="*",
        lang=lang,
        map=Mapping(text="text"),
        engine="whisper" if model else "pocketsphinx",
        model=model,
        revision=None,
        min_confidence=min_confidence,
    )


def confidences(source: Audio, clip: Path) -> list[float]:
    """What the engine says of each utterance: a source that asks for certainty tells it."""
    strict = source_of(source.lang, source.model, min_confidence=1.0)
    listed = []
    for unit in strict.units(clip):
        # "recognised with confidence 0.83, 1.0 is asked for"
        match = re.search(r"confidence ([\d.]+)", unit.evidence)
        if match:
            listed.append(float(match[1]))
    return listed


def normal(text: str) -> list[str]:
    """Words and Chinese characters, in lower case without punctuation."""
    # A Chinese character, or a run of other letters with parts behind apostrophes: 铁, don't
    words = re.findall(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+(?:'\w+)*", text.casefold())
    return ["mr" if word == "mister" else word for word in words]


if __name__ == "__main__":
    main()
