"""Follows MLflow's alias: when it means another version, that one is loaded, asked, and swapped in."""

import logging
import threading

from lore.serving import versions
from lore.serving.generations import Generations
from lore.serving.loading import Loader
from lore.serving.metrics import Metrics
from lore.serving.versions import Finder, Target
from stages.core.project.errors import LorekeepError

LOG = logging.getLogger("lore.serving")


class Watcher:
    """A thread that looks at what is followed, every so many seconds."""

    def __init__(
        self,
        generations: Generations,
        loader: Loader,
        metrics: Metrics,
        finder: Finder,
        served: Target,
        every: float,
    ) -> None:
        self._generations = generations
        self._loader = loader
        self._metrics = metrics
        self._finder = finder
        self._served = served
        self._refused: Target | None = None
        self._problem = ""
        self._every = every
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread. A version that is being loaded is loaded to its end, and not swapped in."""
        self._ending.set()
        self._thread.join()

    def look(self) -> bool:
        """Swap where the alias means another version. Returns whether a swap was made."""
        if versions.is_moving():
            return False
        target = versions.alias_target(self._finder)
        if target is None or target.key == self._served.key:
            return False
        if self._refused is not None and target.key == self._refused.key:
            return False
        before = self._generations.current
        try:
            new = self._loader.load(target)
        except LorekeepError as error:
            # It is not tried again until the alias moves: the same files give the same answers.
            self._refused = target
            self._metrics.swaps.labels("refused").inc()
            LOG.error("%s stays; %s is refused: %s", before.version.name, target.name, error)
            return False
        # While the version was loaded, a rollback may have begun, or the alias may have moved again.
        is_still_meant = not versions.is_moving() and self._is_meant(target)
        if self._ending.is_set() or not is_still_meant:
            new.engine.close()
            return False
        if not self._generations.swap(before.number, new):
            new.engine.close()
            return False
        self._served = target
        self._refused = None
        self._metrics.swaps.labels("done").inc()
        version = new.version
        self._metrics.serve(version.name, version.identity, new.variant, version.generation)
        LOG.info("swapped: %s, generation %d → %s, %d", before.version.name, before.number,
                 version.name, version.generation)  # fmt: skip
        return True

    def _is_meant(self, target: Target) -> bool:
        now = versions.alias_target(self._finder)
        return now is not None and now.key == target.key

    def _run(self) -> None:
        while not self._ending.wait(self._every):
            try:
                self.look()
                self._problem = ""
            except Exception as error:
                # MLflow's store may be away for a while. The version that is served stays.
                problem = f"{type(error).__name__}: {error}"
                if problem != self._problem:
                    LOG.error("the alias cannot be followed now: %s", problem)
                self._problem = problem
