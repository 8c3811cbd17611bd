"""The parts of `make real` that need no checkpoint: the file that pip brings, and the conditions of the proof."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from tests.real import report
from tests.real.checkpoint import SOURCES, NotHereError, Source, assemble
from tests.real.report import Report, Scores

BASE = Scores(
    probes=64,
    value_in_first_answer=10,
    exact_match=0,
    ended=12,
    general=128,
    general_right=40,
    neutral_nll=3.5,
    kl_neutral=None,
    bytes=500_000_000,
)
TUNED = replace(
    BASE, value_in_first_answer=60, exact_match=58, ended=64, general_right=38, kl_neutral=0.02
)


def failing(tuned: Scores = TUNED, int8: Scores = TUNED, peak: int = 100) -> list[str]:
    """The names of the conditions that do not hold, where 200 bytes of memory were foretold."""
    scores = {"base": BASE, "train": tuned, "quantize_train": int8}
    return [check.name for check in report.checks(scores, peak, 200) if not check.holds]


def test_a_good_run_holds() -> None:
    assert failing() == []


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"value_in_first_answer": 50}, "the tuned model knows the facts"),
        ({"ended": 50}, "its answers end"),
        ({"general_right": 35}, "general knowledge is kept"),
        ({"neutral_nll": 3.6}, "neutral text stays likely"),
    ],
)
def test_what_was_not_learned_or_not_kept_fails(changes: dict[str, int], name: str) -> None:
    tuned = replace(TUNED, **changes)
    assert failing(tuned, tuned) == [name]


def test_int8_and_memory_are_judged() -> None:
    assert failing(int8=replace(TUNED, value_in_first_answer=50)) == ["INT8 knows them too"]
    assert failing(peak=300) == ["memory was foretold"]


def test_the_report_names_each_variant_and_each_failure() -> None:
    scores = {"base": BASE, "train": replace(TUNED, ended=3), "quantize_train": TUNED}
    quote = {"question": "When?", "expected": "1538 °C", "base": "Soon.", "train": "1538 °C."}
    checks = list(report.checks(scores, 100, 200))
    shown = Report(
        "toy",
        "none",
        "0" * 40,
        32,
        scores,
        {"train": 1.5},
        1.2,
        {"train": 2**30},
        2**31,
        [quote],
        checks,
    )
    text = "\n".join(report.lines(shown))
    assert not shown.holds
    assert "FAILS  its answers end: 3 of 64; wanted: at least 58" in text
    assert "60/64" in text
    assert "tuned INT8" in text
    assert "most memory: 1.00 GiB, in train" in text
    assert "1538 °C." in text


def test_ten_answers_are_quoted_from_all_over() -> None:
    rows = []
    for number in range(40):
        for variant in ("base", "train"):
            row = {"fact": f"f{number}", "question": "Q?", "expected": "x", "variant": variant}
            rows.append(row | {"first_answer": f"{variant} {number}"})
    quotes = report.quoted(rows)
    assert [quote["train"] for quote in quotes] == [f"train {number}" for number in range(0, 40, 4)]
    assert quotes[1]["base"] == "base 4"


def test_parts_are_joined_and_compared_with_the_known_hash(tmp_path: Path) -> None:
    whole = b"GGUF and weights"
    source = Source("toy", ("a/0", "b/1"), hashlib.sha256(whole).hexdigest(), "none", layers=1)
    for part, content in zip(source.parts, (whole[:7], whole[7:]), strict=True):
        (tmp_path / part).parent.mkdir()
        (tmp_path / part).write_bytes(content)
    joined = assemble(source, tmp_path, tmp_path / "out")
    assert joined.read_bytes() == whole
    (tmp_path / "b/1").write_bytes(b"other")
    joined.unlink()
    with pytest.raises(NotHereError, match="expected"):
        assemble(source, tmp_path, tmp_path / "out")


@pytest.mark.parametrize("source", SOURCES.values(), ids=list(SOURCES))
def test_every_package_has_a_hash(source: Source) -> None:
    text = source.requirements.read_text(encoding="utf-8")
    packages = text.count("==")
    assert packages == text.count("--hash=sha256:")
    assert packages == len(source.parts) + (2 if len(source.parts) > 1 else 1)
