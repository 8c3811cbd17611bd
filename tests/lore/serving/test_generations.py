"""Generations: compare-and-swap, and the last request closes a replaced engine."""

from pathlib import Path

import pytest

from lore.serving.generations import Generations, UnknownModelError
from tests.lore.serving.fakes import FakeEngine, generation
from tests.lore.serving.test_app import wait_for


def test_a_swap_names_what_it_replaces(tmp_path: Path) -> None:
    engines = [FakeEngine(), FakeEngine(), FakeEngine()]
    first, second, third = (
        generation(tmp_path, number, engine) for number, engine in enumerate(engines, start=1)
    )
    generations = Generations(first)
    assert generations.swap(1, second)
    assert not generations.swap(1, third)  # another swap came first
    assert generations.current is second
    assert wait_for(lambda: engines[0].is_closed)
    assert not engines[1].is_closed


def test_further_names_mean_whatever_is_served(tmp_path: Path) -> None:
    generations = Generations(generation(tmp_path, 1), names=["gpt-4o-mini"])
    for name in ("", "lorekeep", "gpt-4o-mini"):
        with generations.held(name) as found:
            assert found.number == 1
    with (
        pytest.raises(UnknownModelError, match="gpt-4o: not served here"),
        generations.held("gpt-4o"),
    ):
        pass


def test_a_replaced_engine_is_closed_behind_its_last_request(tmp_path: Path) -> None:
    engine = FakeEngine()
    generations = Generations(generation(tmp_path, 1, engine))
    with generations.held() as one, generations.held() as other:
        assert one is other
        assert generations.swap(1, generation(tmp_path, 2))
        with generations.held() as newer:
            assert newer.number == 2
    assert wait_for(lambda: engine.is_closed)
    generations.close()
    assert generations.current.engine.is_closed  # type: ignore[attr-defined]
