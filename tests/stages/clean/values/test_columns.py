"""clean by column gives what clean one by one gives, and neither batches nor threads show in the result."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages import clean
from stages.clean import exclusions
from stages.clean.passes import corpus, filtering
from stages.clean.values import columns, normalise
from stages.core.executors import local
from stages.core.project.params import Run, load
from stages.core.records import record
from tests.stages.clean.test_clean import EXCLUSIONS, NEON, NOTES, RULES, fact, text

ROOT = Path(__file__).parents[4]
PARAMS, _ = load("clean", clean.Params, ROOT / "params.yaml")
CHARACTERS = st.characters(exclude_categories=["Cs", "Cn"], max_codepoint=0x2FFFF).filter(
    lambda c: not 0x13430 <= ord(c) <= 0x1345F
)
"""Not the hieroglyphic format controls: Unicode made some of them later than Python 3.11."""
DIRT = st.text(
    st.one_of(CHARACTERS, st.sampled_from("铁，：℃㎡ｋｇ\u200b\x1c\x85\r\n\t (%)"), st.just(" ")),
    max_size=30,
)


@given(st.lists(DIRT, min_size=1, max_size=5))
def test_a_column_is_cleaned_as_each_text_is(texts: list[str]) -> None:
    assert columns.cleaned(pl.Series(texts)).to_list() == [
        normalise.clean_text(content) for content in texts
    ]


@given(DIRT)
def test_cleaning_twice_is_cleaning_once(content: str) -> None:
    once = columns.cleaned(pl.Series([content]))
    assert columns.cleaned(once).to_list() == once.to_list()


def rows() -> list[dict[str, Any]]:
    found = [
        fact("Iron", "density", "7874", "kg/m³"),
        fact("iron", "melting point", "x", "°C"),
        fact("iron", "symbol", "Fe", checked="1999"),
    ]
    found += [
        fact("neon", "state", "gas", **NEON),
        fact("IRON", "density", "7.874", "g/cm³", source="b"),
        fact("iron", "symbol", "Fe ", checked="2001"),
    ]
    found += [text(content, subject) for subject, content in NOTES]
    found += [text(f"{content} It is said.", None, 7) for _, content in NOTES] + [
        text("铁在潮湿的空气中会生锈。", "铁")
    ] * 1
    menu = "Accept all cookies | Manage preferences | Privacy policy"
    found += [text(menu, None, number) for number in range(12)] + [
        text(f"{menu} {number}", None) for number in range(12)
    ]
    long = (
        "Rust is a mixture of oxides that iron forms where water and air meet on its bare surface, "
        * 2
    )
    return [
        *found,
        text(f"{long}slowly at first.", None),
        text(f"{long}slowly at the start.", None),
    ]


def cleaned(tmp_path: Path, name: str, threads: int) -> Path:
    out = tmp_path / name
    run = Run(1, threads, "avx2", "cpu")
    clean.run(PARAMS, run, tmp_path / "in", RULES, EXCLUSIONS, out, tmp_path / f"{name}.json")
    return out


@pytest.mark.parametrize("size", [1, 2, 7])
def test_batches_and_threads_do_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder_bytes: Any, size: int
) -> None:
    record.write(tmp_path / "in/records.parquet", rows())
    record.write(tmp_path / "in/rejected.parquet", [], record.REJECTED)
    (tmp_path / "in/sources.json").write_text("[]")
    whole = folder_bytes(cleaned(tmp_path, "whole", 1))
    monkeypatch.setattr(corpus, "BATCH_ROWS", size)
    assert folder_bytes(cleaned(tmp_path, "parts", 3)) == whole
    assert (tmp_path / "whole.json").read_bytes() == (tmp_path / "parts.json").read_bytes()
    reasons = {
        row["reason"] for row in record.read(tmp_path / "parts/rejected.parquet", record.REJECTED)
    }
    assert {
        "bad_quantity",
        "boilerplate",
        "duplicate",
        "low_information",
        "near_duplicate",
    } <= reasons


def test_a_column_is_redacted_as_each_record_is() -> None:
    given = rows()
    excluded = {row["id"]: ("excluded", "record: request 7") for row in given[::3]}
    frame = columns.redacted(pl.DataFrame(given, schema=columns.COLUMNS), excluded)
    assert frame.to_dicts() == [exclusions.redacted(row, excluded) for row in given]


def test_processes_do_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder_bytes: Any
) -> None:
    record.write(tmp_path / "in/records.parquet", rows())
    record.write(tmp_path / "in/rejected.parquet", [], record.REJECTED)
    (tmp_path / "in/sources.json").write_text("[]")
    whole = folder_bytes(cleaned(tmp_path, "whole", 1))
    asked: list[bool] = []
    pool_of = local.pool_of
    monkeypatch.setattr(
        local,
        "pool_of",
        lambda workers, processes: asked.append(processes) or pool_of(workers, processes),
    )
    monkeypatch.setattr(corpus, "BATCH_ROWS", 11)
    monkeypatch.setattr(filtering, "PROCESSES_FROM", 2)
    assert folder_bytes(cleaned(tmp_path, "parts", 2)) == whole
    assert asked == [True, *[False] * 6]


def test_results_come_in_order_and_few_ahead() -> None:
    taken: list[int] = []

    def items() -> Any:
        for number in range(20):
            taken.append(number)
            yield number

    results = local.LocalExecutor(2).in_order(lambda number: number * 2, items())
    assert [next(results) for _ in range(3)] == [0, 2, 4]
    assert len(taken) <= 6
    assert list(results) == [number * 2 for number in range(3, 20)]


def test_an_error_in_a_batch_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        list(local.LocalExecutor(2).in_order(lambda number: 1 // number, [1, 0, 1]))
