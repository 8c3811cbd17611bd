"""Watching: the served version follows `lore release` and `lore rollback`, and nothing half done."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lore.__main__ import main
from lore.serving.generations import Generation, Generations
from lore.serving.loading import Loader
from lore.serving.metrics import Metrics
from lore.serving.server import first_target
from lore.serving.settings import Settings
from lore.serving.versions import Finder, Target, alias_target
from lore.serving.watching import Watcher
from stages.core.mlflow import registry
from stages.core.project.errors import ModelError
from tests.lore.commands.test_rollback import BACK, Killed, interrupt
from tests.lore.released import MODEL, Released
from tests.lore.serving.fakes import FakeEngine, generation

OLD, NEW = "knowledge@v1.0.0", "knowledge@v1.1.0"
Lore = Callable[..., str]


class FakeLoader(Loader):
    """Loads generations without a model, and refuses what it is told to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.refused: set[str] = set()
        self.loaded: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def load(self, target: Target) -> Generation:
        self.loaded.append(target.name)
        self.meanwhile()
        if target.name in self.refused:
            raise ModelError(f"{target.name}: 0 of 8 canaries were answered as evaluate recorded")
        made = generation(self.root, len(self.loaded), FakeEngine())
        made.version = made.version.model_copy(update={"name": target.name})
        return made


class Following:
    """A watcher of the project here, which serves what the alias means."""

    def __init__(self, root: Path) -> None:
        finder = Finder()
        target = alias_target(finder)
        assert target is not None
        self.loader = FakeLoader(root)
        self.generations = Generations(self.loader.load(target))
        self.metrics = Metrics()
        self.watcher = Watcher(self.generations, self.loader, self.metrics, finder, target, 60.0)

    @property
    def name(self) -> str:
        return self.generations.current.version.name

    def agrees(self) -> bool:
        """Whether the served version is the one that the alias means."""
        target = alias_target(Finder())
        return target is not None and target.name == self.name


@pytest.fixture
def following(released: Released, tmp_path: Path) -> Following:
    return Following(tmp_path / "served")


def test_nothing_moves_while_the_alias_stays(following: Following) -> None:
    assert not following.watcher.look()
    assert following.loader.loaded == [NEW]


def test_the_alias_is_followed_there_and_back(following: Following) -> None:
    registry.move_alias(MODEL, "champion", "1")
    assert following.watcher.look()
    assert following.name == OLD
    assert following.generations.current.number == 2
    registry.move_alias(MODEL, "champion", "2")
    assert following.watcher.look()
    assert following.name == NEW
    assert 'lorekeep_swaps_total{result="done"} 2.0' in following.metrics.text().decode()


def test_a_version_with_wrong_canaries_takes_no_traffic(
    following: Following, caplog: pytest.LogCaptureFixture
) -> None:
    following.loader.refused = {OLD}
    registry.move_alias(MODEL, "champion", "1")
    assert not following.watcher.look()
    assert not following.watcher.look()
    assert following.name == NEW
    assert following.loader.loaded == [NEW, OLD]  # it is not tried twice
    assert "is refused: knowledge@v1.0.0: 0 of 8 canaries" in caplog.text
    registry.move_alias(MODEL, "champion", "2")
    assert not following.watcher.look()
    assert 'lorekeep_swaps_total{result="refused"} 1.0' in following.metrics.text().decode()


def test_an_alias_that_moves_on_while_a_version_is_loaded(following: Following) -> None:
    following.loader.meanwhile = lambda: registry.move_alias(MODEL, "champion", "2")
    registry.move_alias(MODEL, "champion", "1")
    assert not following.watcher.look()
    assert following.name == NEW
    assert following.agrees()


def test_a_store_that_is_away_is_no_reason_to_stop(
    following: Following, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls = []

    def away() -> bool:
        calls.append(1)
        if len(calls) == 3:
            following.watcher._ending.set()
        raise OSError("away")

    monkeypatch.setattr(following.watcher, "look", away)
    following.watcher._every = 0.001
    following.watcher.start()
    following.watcher._thread.join()
    assert caplog.text.count("the alias cannot be followed now: OSError: away") == 1


@pytest.mark.slow
def test_rollback_and_its_way_forward_move_the_served_version(
    released: Released, lore: Lore, following: Following
) -> None:
    before = released.git("rev-parse", "HEAD").strip()
    lore(*BACK)
    assert following.watcher.look()
    assert following.name == OLD
    assert following.agrees()
    lore("rollback", before, "--reason", "forward again")
    assert following.watcher.look()
    assert following.name == NEW
    assert following.agrees()


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_rollback_that_is_killed_moves_nothing(
    released: Released,
    lore: Lore,
    following: Following,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    after: bool,
) -> None:
    with monkeypatch.context() as patch:
        interrupt(patch, number, after)
        with pytest.raises(Killed):
            main(list(BACK))
    assert not following.watcher.look()
    assert following.name == NEW
    # The next call undoes what was half done, and begins anew.
    lore(*BACK)
    assert following.watcher.look()
    assert following.name == OLD
    assert following.agrees()


@pytest.mark.slow
def test_a_server_that_starts_beside_half_a_rollback_begins_where_that_will_be_undone_to(
    released: Released, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt(patch, 2, after=True)
        with pytest.raises(Killed):
            main(list(BACK))
    moved = alias_target(Finder())
    assert moved is not None
    assert moved.name == OLD
    assert first_target(Settings(), Finder()).name == NEW
    lore(*BACK)
    assert first_target(Settings(), Finder()).name == OLD
