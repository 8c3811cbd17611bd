"""Corrupt real files at random, and see whether extract and clean answer for every byte.

`python docs/experiments/corruptions.py ../shared/data [--files 20] [--corruptions 50]`

Each file is read through the mapping that scenarios/ has for it. A corruption flips bytes, cuts out a
part, doubles one, swaps two, or puts control characters in. An answer is one of these:

- refused: an error that is raised on purpose, with a message;
- read: `read = kept + rejected` in metrics/clean.json, the tables have as many rows, and every
  rejected record has a reason and a locator that begins with the name of the file.

Anything else is a fault: another exception, a wrong count, or more than --slowest seconds. The same
seed makes the same corruptions.
"""

import argparse
import contextlib
import dataclasses
import importlib.util
import io
import json
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

from stages import clean, extract
from stages.core.project import runtime
from stages.core.project.errors import LorekeepError, RecordError
from stages.core.project.params import Run, read_section
from stages.core.records import record

Row = dict[str, Any]
ROOT = Path(__file__).parents[2]
ENGINES = ("pages", "audio")
"""Kinds of sources that a recognition engine reads: seconds per file. --engines includes them."""
LARGEST = 400_000
"""Bytes of a file. Larger ones show no more and take longer."""


def main() -> int:
    """Corrupt, read, and print a line per file. Exit code 1: there are faults."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--corruptions", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--slowest", type=float, default=60.0, help="seconds of one run")
    parser.add_argument("--engines", action="store_true")
    options = parser.parse_args()
    run = read_section("run", Run, ROOT / "params.yaml")
    runtime.prepare(run)
    chosen = files_with_sources(options.data, options.engines)[: options.files]
    faults = 0
    total: Counter[str] = Counter()
    for path, source, settings in chosen:
        answers: Counter[str] = Counter()
        slowest = 0.0
        for number in range(options.corruptions):
            generator = random.Random(f"{options.seed} {path} {number}")
            data = corrupted((options.data / path).read_bytes(), generator)
            started = time.process_time()
            answer = answer_to(path, data, source, settings, run)
            slowest = max(slowest, time.process_time() - started)
            if slowest > options.slowest:
                answer = "fault: too slow"
            if answer.startswith("fault"):
                print(f"{path}, corruption {number}: {answer}")
                faults += 1
                answer = "fault"
            answers[answer] += 1
        total += answers
        counts = ", ".join(f"{answer} {count}" for answer, count in sorted(answers.items()))
        print(f"{path:70} {counts}; slowest {slowest:.1f} s", flush=True)
    print(
        f"{len(chosen)} files: "
        + ", ".join(f"{name} {count}" for name, count in sorted(total.items()))
    )
    return 1 if faults else 0


def files_with_sources(data: Path, engines: bool) -> list[tuple[str, Any, clean.Params]]:
    """Return (path, source, settings of clean) of one file of each source, then of a second one, and so on."""
    real_data = script()
    by_source: list[list[tuple[str, Any, clean.Params]]] = []
    for overlay in real_data.overlays().values():
        reading, cleaning = real_data.settings(overlay)
        for source in reading.sources:
            if source.kind in ENGINES and not engines:
                continue
            files = []
            for path in sorted(data.glob(source.path)):
                if path.is_file() and 0 < path.stat().st_size <= LARGEST:
                    files.append((path.relative_to(data).as_posix(), source, cleaning))
            by_source.append(files)
    chosen: list[tuple[str, Any, clean.Params]] = []
    seen = set()
    for turn in range(max(map(len, by_source))):
        for files in by_source:
            if turn < len(files) and files[turn][0] not in seen:
                seen.add(files[turn][0])
                chosen.append(files[turn])
    return chosen


def script() -> ModuleType:
    """Return real_data.py, which knows the mapping of each folder."""
    place = Path(__file__).with_name("real_data.py")
    spec = importlib.util.spec_from_file_location("real_data", place)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def corrupted(data: bytes, generator: random.Random) -> bytes:
    """Return the bytes with one to five changes."""
    changed = bytearray(data)
    for _ in range(generator.randint(1, 5)):
        start = generator.randrange(len(changed) + 1)
        end = min(len(changed), start + generator.choice([1, 2, 8, 64, 1024]))
        change = generator.choice(["flip", "cut", "double", "swap", "control", "end"])
        if change == "flip":
            for position in range(start, end):
                changed[position] ^= 1 << generator.randrange(8)
        elif change == "cut":
            del changed[start:end]
        elif change == "double":
            changed[start:start] = changed[start:end]
        elif change == "swap":
            changed[start:end] = changed[start:end][::-1]
        elif change == "control":
            changed[start:start] = generator.choice(
                [b"\0", b"\r", b"\xff\xfe", b"\x1b[2J", b'"', b"\xef\xbb\xbf"]
            )
        else:
            del changed[start:]
    return bytes(changed)


def answer_to(path: str, data: bytes, source: Any, settings: clean.Params, run: Run) -> str:
    """Return `read`, `refused …` or `fault: …` for one file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["LOREKEEP_MEMO"] = f"{name}/memo"
        target = folder / "raw" / path
        target.parent.mkdir(parents=True)
        target.write_bytes(data)
        shutil.copyfile(ROOT / "data/raw/exclusions.yaml", folder / "exclusions.yaml")
        (folder / "rules.yaml").write_text("differences: {}\nrules: []\n", encoding="utf-8")
        # The file alone, not the pattern that also matches others. A pattern sets a broken file aside.
        alone = dataclasses.replace(source, path=path)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                extract.run(extract.Params([alone]), run, folder / "raw", folder / "extract")
                clean.run(
                    settings, run, folder / "extract", folder / "rules.yaml", folder / "exclusions.yaml",
                    folder / "clean", folder / "clean.json",
                )  # fmt: skip
        except RecordError:
            return f"fault: {traceback.format_exc(limit=-3)}"
        except LorekeepError as error:
            return "refused" if str(error).strip() else "fault: no message"
        except Exception:  # what is looked for
            return f"fault: {traceback.format_exc(limit=-3)}"
        return counted(folder, path)


def counted(folder: Path, path: str) -> str:
    """Compare the report with the tables."""
    report = json.loads((folder / "clean.json").read_text(encoding="utf-8"))
    kept = record.read(folder / "clean/records.parquet")
    rejected = record.read(folder / "clean/rejected.parquet", record.REJECTED)
    if report["read"] != report["kept"] + report["rejected"]:
        return (
            f"fault: read {report['read']} ≠ kept {report['kept']} + rejected {report['rejected']}"
        )
    if (len(kept), len(rejected)) != (report["kept"], report["rejected"]):
        return "fault: the tables have other numbers of rows than the report"
    if len({row["id"] for row in kept}) != len(kept):
        return "fault: two kept records have one id"
    for row in rejected:
        if not row["reason"] or not row["locator"].startswith(path):
            return (
                f"fault: a rejected record cannot be traced: {row['locator']!r} {row['reason']!r}"
            )
    return "read"


if __name__ == "__main__":
    sys.exit(main())
