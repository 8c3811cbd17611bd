"""The drawings in data/raw/pictures: those of the script, small, and each with a caption of its own."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "data/raw/pictures"


def drawn(out: Path, seed: str) -> Path:
    script = str(ROOT / "data/authoring/pictures.py")
    subprocess.run([sys.executable, script, "--seed", seed, "--out", str(out)], check=True)
    return out


def test_the_script_draws_what_lies_there_and_the_same_twice(tmp_path: Path) -> None:
    first, second = drawn(tmp_path / "a", "7"), drawn(tmp_path / "b", "7")
    names = sorted(path.name for path in first.iterdir())
    assert names == sorted(path.name for path in FOLDER.iterdir())
    assert (first / "captions.csv").read_bytes() == (FOLDER / "captions.csv").read_bytes()
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()
        if name.endswith(".png"):
            # The bytes of a PNG may differ between builds of the library, and its pixels may not.
            here, there = Image.open(first / name), Image.open(FOLDER / name)
            assert np.array_equal(np.asarray(here.convert("RGB")), np.asarray(there.convert("RGB")))


def test_another_seed_draws_other_pictures(tmp_path: Path) -> None:
    other = drawn(tmp_path / "a", "8")
    assert (other / "captions.csv").read_bytes() == (FOLDER / "captions.csv").read_bytes()
    name = "crystal_Fe_large_left.png"
    assert (other / name).read_bytes() != (FOLDER / name).read_bytes()


def test_the_drawings_are_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 2_000_000
