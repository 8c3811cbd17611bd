"""missing: an attribute is expected of a subject by its other attributes, so kinds need no setting."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lore.gaps import missing


def fact(subject: str, attribute: str, unit: str | None = None) -> dict[str, Any]:
    return {
        "fact": f"{subject}/{attribute}",
        "subject": subject,
        "attribute": attribute,
        "unit": unit,
    }


def elements(number: int) -> list[dict[str, Any]]:
    rows = []
    for place in range(number):
        rows.append(fact(f"element {place:02d}", "mass", "g/mol"))
        rows.append(fact(f"element {place:02d}", "melting point", "°C"))
    return rows


def test_what_all_others_have_is_missing() -> None:
    rows = [*elements(19), fact("newest", "mass", "g/mol")]
    (found,) = missing.find(rows, common=0.9)
    assert (found.subject, found.attribute, found.because) == ("newest", "melting point", "mass")
    assert (found.share, found.subjects, found.unit) == (19 / 20, 20, "°C")


def test_another_kind_of_subject_lacks_nothing() -> None:
    drugs = [fact(f"drug {place}", "dose") for place in range(12)]
    rows = [*elements(19), fact("newest", "mass"), *drugs]
    assert [one.subject for one in missing.find(rows, common=0.9)] == ["newest"]


def test_few_subjects_make_no_rule() -> None:
    assert missing.find([*elements(8), fact("newest", "mass")], common=0.5) == []


def test_below_the_share_nothing_is_expected() -> None:
    rows = [*elements(14), *(fact(f"bare {place}", "mass") for place in range(6))]
    assert missing.find(rows, common=0.71) == []
    assert len(missing.find(rows, common=0.7)) == 6


@given(st.sets(st.tuples(st.integers(0, 30), st.sampled_from("abcd"))), st.floats(0, 1))
def test_only_what_is_not_there_is_missing(
    given_facts: set[tuple[int, str]], common: float
) -> None:
    rows = [fact(str(subject), attribute) for subject, attribute in given_facts]
    known = {(row["subject"], row["attribute"]) for row in rows}
    found = missing.find(rows, common)
    for one in found:
        assert (one.subject, one.attribute) not in known
        assert (one.subject, one.because) in known
        assert common <= one.share < 1
    assert len({(one.subject, one.attribute) for one in found}) == len(found)
