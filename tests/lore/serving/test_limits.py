"""Limits: buckets fill evenly, places are given back."""

import pytest

from lore.serving.errors import ApiError
from lore.serving.limits import Bucket, Places, Quotas


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_fills_evenly() -> None:
    clock = Clock()
    bucket = Bucket(60, clock)
    for _ in range(60):
        assert bucket.wait() == 0
        bucket.take()
    assert bucket.wait() == 1.0
    clock.now = 0.5
    assert bucket.wait() == 0.5
    clock.now = 1.0
    assert bucket.wait() == 0
    clock.now = 1000.0
    assert bucket.wait(60) == 0
    assert bucket.wait(1000) == 0  # more than it holds: a full one will do


def test_names_have_buckets_of_their_own() -> None:
    clock = Clock()
    quotas = Quotas(2, 100, clock)
    quotas.take_request("a")
    quotas.take_request("a")
    with pytest.raises(
        ApiError, match="more than 2 requests a minute; try again in 30 s"
    ) as caught:
        quotas.take_request("a")
    assert caught.value.status == 429
    assert caught.value.headers() == {"Retry-After": "30"}
    quotas.take_request("b")
    quotas.take_tokens("a", 80)
    with pytest.raises(ApiError, match="more than 100 tokens a minute"):
        quotas.take_tokens("a", 80)
    quotas.give_back("a", 60)
    quotas.take_tokens("a", 80)


def test_places_are_given_back() -> None:
    places = Places(batch=1, queue=1)
    places.take()
    places.take()
    with pytest.raises(ApiError, match="2 requests are waiting or being answered") as caught:
        places.take()
    assert caught.value.retry_after == 1
    for _ in range(50):
        places.give_back(10.0)
        places.take()
    with pytest.raises(ApiError, match="try again in 20 s"):  # two answers of ten seconds
        places.take()
