"""failed: a wording is weak where its whole interval lies below the limit; a fact, where most wordings fail."""

from lore.gaps import failed


def wording(name: str, score: float, high: float, variant: str = "train") -> dict[str, str]:
    return {
        "variant": variant,
        "probe": "stated",
        "attribute": "mass",
        "wording": name,
        "exact_match": str(score),
        "low": "0",
        "high": str(high),
        "n": "20",
    }


def test_weak_wordings_come_worst_first_with_the_mean_of_the_others() -> None:
    rows = [wording("a", 0.9, 0.95), wording("b", 0.2, 0.4), wording("c", 0.0, 0.1)]
    rows.append(wording("d", 0.0, 0.1, variant="base"))
    found = failed.weak_wordings(rows, "train", 0.5)
    assert [(one.wording, one.of_attribute, one.questions) for one in found] == [
        ("c", 0.55, 20),
        ("b", 0.45, 20),
    ]


def test_a_wide_interval_proves_nothing() -> None:
    assert failed.weak_wordings([wording("a", 0.2, 0.6)], "train", 0.5) == []
    (alone,) = failed.weak_wordings([wording("a", 0.2, 0.4)], "train", 0.5)
    assert alone.of_attribute == 0


def test_lost_facts() -> None:
    row = {
        "fact": "f",
        "subject": "iron",
        "attribute": "mass",
        "expected": "55.8",
        "answer": "3",
        "variant": "train",
    }
    rows = [row | {"share": 0.6}, row | {"share": 0.4}, row | {"share": 0.0, "variant": "base"}]
    (found,) = failed.lost_facts(rows, "train", 0.5)
    assert (found.subject, found.share, found.expected) == ("iron", 0.4, "55.8")
