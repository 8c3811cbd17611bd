"""canaries: the question is that of the version that is here now, and nothing is asked in vain."""

from lore.releasing import canaries
from lore.versions import version
from tests.lore.released import Released


def test_where_nothing_differs_nothing_is_asked(released: Released) -> None:
    here = version.revision("HEAD")
    assert canaries.ask(here, here) == [
        "canaries: no fact with a question differs between the two versions"
    ]


def test_both_values_stand_beside_the_question_of_the_version_now() -> None:
    old = ("When does iron melt?", "1649 °C")
    new = ("At what temperature does iron melt?", "1538 °C")
    assert canaries.question_row(old, new) == (new[0], "1649 °C", "1538 °C")
    assert canaries.question_row(None, new) == (new[0], "–", "1538 °C")
    assert canaries.question_row(old, None) == (old[0], "1649 °C", "–")
    assert canaries.question_row(None, None) is None
