import itertools

from hypothesis import given
from hypothesis import strategies as st

from stages.clean.span import Span, apart, rewrite

SPANS = st.builds(
    lambda start, length: Span(start, start + length, "x", "·"),
    st.integers(0, 30),
    st.integers(1, 8),
)


def test_the_earlier_and_of_those_the_longer_span_stays() -> None:
    day, month, other = (
        Span(0, 10, "date", "2019-03-07"),
        Span(0, 7, "date", "2019-03"),
        Span(9, 12, "quantity", "7 kg"),
    )
    assert apart([month, other, day]) == [day]


def test_spans_get_their_form() -> None:
    spans = [Span(4, 8, "quantity", "5 kg"), Span(0, 3, "date", "2019")]
    assert rewrite("XIX 5000 g", spans) == "2019 5 kg g"
    assert rewrite("XIX 5000 g", spans, lambda span: f"<{span.kind}>") == "<date> <quantity> g"


@given(st.lists(SPANS))
def test_what_is_kept_lies_apart_and_is_complete(spans: list[Span]) -> None:
    kept = apart(spans)
    assert all(a.end <= b.start for a, b in itertools.pairwise(kept))
    assert all(
        any(span.start < other.end and other.start < span.end for other in kept) for span in spans
    )
    assert apart(kept) == kept
