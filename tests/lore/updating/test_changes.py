"""changes: every fact is added, removed, changed or the same, and a damaged table is named."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lore.updating import changes
from lore.updating.changes import Changes, Fact
from lore.updating.rules import decide
from stages.core.project.errors import InputError

FACTS = st.dictionaries(
    st.sampled_from("abcdef"),
    st.builds(Fact, st.just("s"), st.just("a"), st.sampled_from("12"), st.none()),
)


@given(FACTS, FACTS)
def test_every_fact_is_counted_once(trained: dict[str, Fact], known: dict[str, Fact]) -> None:
    found = changes.compare(trained, known)
    assert set(found.added) == known.keys() - trained.keys()
    assert set(found.removed) == trained.keys() - known.keys()
    both = known.keys() & trained.keys()
    assert found.same + len(found.changed) == len(both)
    for name, (before, after) in found.changed.items():
        assert (before, after) == (trained[name], known[name])
        assert before != after
    assert changes.compare(known, known).count() == 0


def test_only_trained_facts_are_read(tmp_path: Path) -> None:
    rows = [
        {"fact": "f", "subject": "iron", "attribute": "use", "value": "steel", "unit": None, "split": "train"},
        {"fact": "f", "subject": "iron", "attribute": "use", "value": "steel", "unit": None, "split": "probe"},
        {"fact": "g", "subject": "gold", "attribute": "use", "value": "coins", "unit": "", "split": "probe"},
        {"fact": None, "subject": None, "attribute": None, "value": None, "unit": None, "split": "train"},
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    content = (tmp_path / "t.parquet").read_bytes()
    assert changes.facts_of_table(content, "t") == {"f": Fact("iron", "use", "steel", None)}
    with pytest.raises(InputError, match=r"t: not a table \(.*\); dvc fetch --all-commits"):
        changes.facts_of_table(content[:-9], "t")


def test_a_fact_is_shown_on_one_line() -> None:
    assert Fact("iron", "melting point", "1538", "°C").shown() == "iron · melting point · 1538 °C"
    assert Fact("iron", "symbol", "Fe", None).shown() == "iron · symbol · Fe"


@pytest.mark.parametrize(
    ("number", "when", "least", "train", "why"),
    [
        (0, "auto", 1, False, "the model was trained on these facts"),
        (3, "auto", 4, False, "3 facts differ, and --least-facts asks for 4"),
        (4, "auto", 4, True, "4 facts differ from those that were trained"),
        (0, "always", 9, True, "--train always"),
        (9, "never", 1, False, "--train never"),
    ],
)
def test_the_rule_says_why(number: int, when: str, least: int, train: bool, why: str) -> None:
    added = {str(place): Fact("s", "a", "1", None) for place in range(number)}
    decision = decide(Changes(added=added), when, least)  # type: ignore[arg-type]
    assert (decision.train, decision.why) == (train, why)
