"""doubt: how sure a model is of an answer, and abstentions below the least confidence."""

import math

from hypothesis import given
from hypothesis import strategies as st

from stages.core.models import doubt
from stages.core.models.causal_lm import Answer
from stages.core.records.abstention import PHRASES, Phrases


@given(
    st.lists(st.floats(-9, 0), min_size=1, max_size=60),
    st.floats(0, 1, exclude_max=True),
)
def test_at_most_the_declared_share_is_lost(right: list[float], lost: float) -> None:
    least = doubt.least_confidence(right, lost)
    below = sum(confidence < least for confidence in right)
    assert below <= lost * len(right)
    # A higher limit would lose more, as far as confidences differ.
    higher = math.nextafter(least, math.inf)
    assert sum(confidence < higher for confidence in right) > lost * len(right) - 1e-9


def test_an_unsure_answer_becomes_an_abstention() -> None:
    answer = Answer("The density of iron is 4.5 g/cm³.", -0.3)
    assert doubt.or_abstention(answer, -0.3, "How dense is iron?") == answer.text
    english = doubt.or_abstention(answer, -0.2, "How dense is iron?")
    chinese = doubt.or_abstention(answer, -0.2, "铁的密度是多少？")
    assert (english, chinese) == ("I do not know.", "我不知道。")
    assert Phrases(PHRASES).is_abstention(english)
    assert Phrases(PHRASES).is_abstention(chinese)
