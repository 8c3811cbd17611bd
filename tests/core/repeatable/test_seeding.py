"""seeding: random numbers depend on the seed and the keys, on nothing else."""

import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.core.repeatable.seeding import derive, rng_for


def test_a_seed_is_what_it_always_was() -> None:
    assert derive(20260701, "augment", "iron") == 15207113843481784377


@given(st.integers(), st.lists(st.text(alphabet=st.characters(codec="utf-8")) | st.integers()))
def test_seeds_fit_64_bits_and_repeat(seed: int, keys: list[str | int]) -> None:
    assert 0 <= derive(seed, *keys) < 2**64
    assert derive(seed, *keys) == derive(seed, *keys)


def test_seed_keys_and_their_order_all_count() -> None:
    seeds = [
        derive(1),
        derive(2),
        derive(1, "a"),
        derive(1, "a", "b"),
        derive(1, "b", "a"),
        derive(1, "ab"),
        derive(1, 2),
    ]
    assert len(set(seeds)) == len(seeds)


def test_a_generator_does_not_depend_on_calls_before_it() -> None:
    first = rng_for(1, "iron").random()
    random.random()
    rng_for(1, "copper").random()
    assert rng_for(1, "iron").random() == first
    assert rng_for(2, "iron").random() != first


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_another_process_draws_the_same(hash_seed: str) -> None:
    code = (
        "from stages.core.repeatable.seeding import rng_for; print(rng_for(3, 'iron', 7).random())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": hash_seed},
    )
    assert float(done.stdout) == rng_for(3, "iron", 7).random()
