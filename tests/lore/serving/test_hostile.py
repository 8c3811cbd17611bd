"""Hostile clients against a real server, by the script that measures it: no crash, no leak, and others are answered."""

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scripts import script

hostile = script("docs/experiments/serve_hostile.py")
OPTIONS = Namespace(connections=700, megabytes=8)
SETTINGS = ("header_seconds=2", "stall_seconds=2", "said=0.005")


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server for all attacks of this file."""
    made = hostile.Target(tmp_path_factory.mktemp("hostile") / "served", *SETTINGS)
    yield made
    # It has survived everything, and ends in order.
    assert made.stop() == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(hostile.ATTACKS))
def test_after_an_attack_others_are_answered(target: Any, name: str) -> None:
    hostile.ATTACKS[name](target, OPTIONS)
    status, answer = target.ask()
    assert (status, answer["choices"][0]["message"]["content"]) == (200, hostile.RIGHT)
    assert hostile.wait_for(lambda: target.in_flight() == 0)


@pytest.mark.slow
def test_connections_beyond_the_limit_are_told_so_and_the_open_ones_go_on(tmp_path: Path) -> None:
    made = hostile.Target(tmp_path / "served", "connections=3", "header_seconds=60")
    try:
        first = made.connect()
        idle = [made.connect(), made.connect()]
        assert hostile.wait_for(lambda: hostile.plain_status(made) == 503)
        first.sendall(hostile.head_of(len(hostile.body_of())) + hostile.body_of())
        assert hostile.status_of(first) == "200"
        hostile.close([first, *idle])
        assert hostile.wait_for(lambda: hostile.plain_status(made) == 200)
    finally:
        assert made.stop() == 0


@pytest.mark.slow
def test_the_deadlines_end_what_waits_for_ever(tmp_path: Path) -> None:
    made = hostile.Target(tmp_path / "served", "header_seconds=0.5", "body_seconds=0.5")
    try:
        with made.connect() as silent, made.connect() as half, made.connect() as bodiless:
            half.sendall(b"GET / HTTP/1.1\r\nHost: x")
            bodiless.sendall(hostile.head_of(100))
            assert hostile.status_of(silent) in ("closed", "ConnectionResetError")
            assert hostile.status_of(half) in ("closed", "ConnectionResetError")
            assert hostile.status_of(bodiless) == "408"
    finally:
        assert made.stop() == 0
