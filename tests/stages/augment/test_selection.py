"""selection: what is left out is counted, plain texts and probes stay, and the order of ranks is stable."""

from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.augment.selection import RANKED, Cut, Select, Selection, cut_of, signatures
from stages.core.project.errors import ParamsError
from stages.core.project.params import parse
from stages.core.records import record


def row(fact: str, number: int, question: str = "", attribute: str = "symbol") -> dict[str, Any]:
    kind = "qa" if question else "statement"
    locator = f"{fact}/train/{kind}/{number:02d}"
    return {
        "id": locator,
        "locator": locator,
        "split": "train",
        "kind": kind,
        "fact": fact,
        "parents": [f"parent of {fact}"],
        "attribute": attribute,
        "text": f"{fact} has a symbol" if number == 0 else f"Question: {question}",
        "question": question or None,
    }


def kept(rows: list[dict[str, Any]], **settings: Any) -> tuple[list[str], dict[str, Any]]:
    """Return the ids that are kept, in the order of the rows, and the counts."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for one in rows:
        groups.setdefault(one["fact"] or one["parents"][0], []).append(one)
    selection = Selection(Select(**settings), 7)
    chosen = []
    for group in groups.values():
        chosen += selection.of_group(group)
    whole = [record.DEFAULTS | {"source": "augment"} | one for one in chosen]
    ids: set[str] = set()
    # Two tables: what was seen in the first one counts in the second one.
    for part in (whole[: len(whole) // 2], whole[len(whole) // 2 :]):
        table = selection.balanced(pa.Table.from_pylist(part, schema=RANKED))
        assert table.schema == record.SCHEMA
        ids |= set(table["id"].to_pylist())
    over = selection.counts.left_out["over_balance"]
    assert sum(selection.over_balance.values()) == over
    return [one["id"] for one in rows if one["id"] in ids], selection.counts.report()


def test_near_duplicates_of_a_fact_are_left_out() -> None:
    same = "Which symbol do chemists write for iron in their tables and books?"
    rows = [
        row("iron", 0),
        row("iron", 0, same),
        row("iron", 1, same.upper()),
        row("iron", 2, "How is iron abbreviated?"),
        row("tin", 0),
        row("tin", 0, same),
    ]
    ids, report = kept(rows, near_duplicates=0.9)
    assert len([i for i in ids if i.startswith("iron/train/qa")]) == 2
    assert "tin/train/qa/00" in ids  # another fact may be asked alike
    assert report == {"asked": 6, "kept": 5, "left_out": {"near_duplicate": 1}}


def test_a_cap_keeps_the_plain_text_and_the_same_rows_when_more_come() -> None:
    rows = [row("iron", 0), *(row("iron", i, f"Question {i} of iron?") for i in range(9))]
    ids, report = kept(rows, per_fact=4)
    assert len(ids) == 4
    assert ids[0] == "iron/train/statement/00"
    assert report["left_out"] == {"over_cap": 6}
    fewer, _ = kept(rows, per_fact=3)
    assert set(fewer) < set(ids)


def test_balance_takes_rows_from_large_attributes_evenly() -> None:
    rows = []
    for fact in range(10):
        rows.append(row(f"l{fact}", 0, attribute="large"))
        rows += [row(f"l{fact}", i, f"Q{i} {fact}?", "large") for i in range(9)]
    for name in ("small", "other"):
        rows += [row(name, 0, attribute=name)]
        rows += [row(name, i, f"Q{i}?", name) for i in range(9)]
    ids, report = kept(rows, balance=3.0)
    assert report["left_out"] == {"over_balance": 70}
    for fact in range(10):
        assert len([i for i in ids if i.startswith(f"l{fact}/")]) == 3
    assert len([i for i in ids if i.startswith("small/")]) == 10


def test_probes_validation_and_free_pairs_are_never_touched() -> None:
    asked = row("iron", 1, "Same words?") | {"split": "probe", "id": "probe"}
    pair = row("x", 0, "Same words?") | {"fact": None, "id": "pair"}
    ids, report = kept([asked, asked | {"id": "valid", "split": "valid"}, pair], per_fact=1)
    assert ids == ["probe", "valid", "pair"]
    assert report == {"asked": 1, "kept": 1, "left_out": {}}


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30)), unique=True), st.integers(1, 5)
)
def test_what_was_asked_is_kept_or_counted(places: list[tuple[str, int]], cap: int) -> None:
    rows = [row(fact, number, f"Question {number % 3}?") for fact, number in places]
    ids, report = kept(rows, per_fact=cap, near_duplicates=0.9, balance=1.0)
    assert report["asked"] == len(rows) == len(ids) + sum(report["left_out"].values())


@given(st.lists(st.integers(1, 6), min_size=1, max_size=8), st.integers(0, 40))
def test_a_cut_keeps_so_many_rows(sizes: list[int], limit: int) -> None:
    cut = cut_of(Counter(sizes), limit)
    assert 0 <= cut.room <= len(sizes)
    kept = sum(min(size, cut.rank) for size in sizes) + cut.room
    assert kept == min(limit, sum(sizes))


def test_all_ranks_are_kept_where_there_is_room() -> None:
    assert cut_of(Counter([2, 3]), 5) == Cut(3, 0)


def test_signatures_estimate_similarity() -> None:
    same, other, far = signatures(["one two three four", "one two three four", "铁的熔点是多少"])
    assert (same == other).all()
    assert (same == far).mean() < 0.1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"near_duplicates": 1.5}, "select.near_duplicates"),
        ({"per_fact": 0}, "select.per_fact"),
        ({"balance": 0.5}, "select.balance"),
        ({"per_facts": 3}, "did you mean per_fact"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], message: str) -> None:
    problems: list[str] = []
    parse(settings, Select, "select", problems)
    with pytest.raises(ParamsError, match=message):
        raise ParamsError("\n".join(problems))
