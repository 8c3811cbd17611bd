"""Every input that once broke a promise, and some of each form, with changes at random: no promise breaks."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, judge

CORPUS = Path(__file__).parent / "corpus"
FILES = sorted(path for path in CORPUS.glob("*/*") if path.is_file())
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "25"))
FEWER = {"clean": 5, "pdf": 2}
"""Target whose one run takes long → by how much its examples are fewer."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_input_of_the_corpus(path: Path) -> None:
    assert judge(path.parent.name, path.read_bytes())


def test_every_target_has_inputs_to_start_from() -> None:
    assert {path.parent.name for path in FILES} == set(TARGETS)


@st.composite
def changed(draw: st.DrawFn, name: str) -> bytes:
    """An input of the corpus with bytes flipped, cut out, doubled or put in."""
    data = bytearray(
        draw(st.sampled_from([f for f in FILES if f.parent.name == name])).read_bytes()
    )
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 20)))
        change = draw(st.sampled_from(["flip", "cut", "double", "put"]))
        if change == "flip" and start < len(data):
            data[start] ^= 1 << draw(st.integers(0, 7))
        elif change == "cut":
            del data[start:end]
        elif change == "double":
            data[start:start] = data[start:end]
        else:
            data[start:start] = draw(st.binary(max_size=6))
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
def test_a_changed_input_breaks_no_promise(name: str) -> None:
    @settings(
        max_examples=EXAMPLES // FEWER.get(name, 1), deadline=None, derandomize=True, database=None
    )
    @given(changed(name))
    def holds(data: bytes) -> None:
        judge(name, data)

    holds()
