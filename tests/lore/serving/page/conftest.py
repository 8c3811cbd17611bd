"""The toy project as working directory, a real server of it, and a real browser."""

import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from stages.core.project import runtime
from stages.core.project.params import Run
from tests.lore.knowledge import Project
from tests.lore.serving.page.browser import Browser, started
from tests.lore.serving.page.toy import make_project, make_served, project_at

Serve = Callable[..., str]


@pytest.fixture(scope="session")
def toy_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy project, made once."""
    root = tmp_path_factory.mktemp("toy") / "project"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DVC_ROOT", raising=False)
        make_project(root)
    return root


@pytest.fixture
def toy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_params: Run, toy_once: Path
) -> Project:
    """A copy of the toy project, which is the working directory."""
    for name, value in runtime.settings(run_params).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    root = tmp_path / "project"
    shutil.copytree(toy_once, root, symlinks=True)
    monkeypatch.chdir(root)
    return project_at(root)


@pytest.fixture
def serve(toy: Project) -> Iterator[Serve]:
    """Return a function that starts a server of the toy project and returns its address."""
    running: list[tuple[uvicorn.Server, threading.Thread, socket.socket]] = []

    def start(**more: Any) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        app = make_served(toy.root, **more)
        config = uvicorn.Config(app, log_config=None, access_log=False, ws="none", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        running.append((server, thread, listener))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"

    yield start
    for server, thread, listener in running:
        server.should_exit = True
        server.force_exit = True
        thread.join()
        listener.close()


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A running Chromium. Skips where it or its driver is not installed."""
    pytest.importorskip(
        "selenium",
        reason="selenium is not installed: pip install --no-deps --require-hashes "
        "-r tests/lore/serving/page/requirements.txt",
    )
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: apt-get install chromium chromium-driver")
    driver = started(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium: Any, tmp_path: Path) -> Iterator[Browser]:
    """The browser, without what an earlier test left in it."""
    folder = Path(os.environ.get("LOREKEEP_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    made = Browser(chromium, folder)
    yield made
    made.forget()
