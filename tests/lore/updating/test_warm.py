"""warm: forked stages give what started ones give, an error ends DVC, and a changed code is noticed."""

import os
import sys
import textwrap
from pathlib import Path

import pytest

from lore.updating import warm
from lore.updating.warm import Warm
from lore.versions import dvc_private

# dvc 3.67 reads an attribute that pygtrie deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value will soon raise:DeprecationWarning")

SETTINGS = "run: {seed: 7, threads: 1, isa: avx2, device: cpu}\nupper: {}\n"
STAGE = """
from pathlib import Path
from pydantic.dataclasses import dataclass

@dataclass(frozen=True)
class Params:
    pass

def run(params, run, source, out):
    import tabnanny
    text = source.read_text()
    if text == "broken":
        raise ValueError("the stage failed")
    Path(out).write_text(text.upper())
"""
PIPELINE = """
stages:
  upper:
    cmd: python -m stages upper in.txt out.txt
    deps: [in.txt]
    outs: [out.txt]
  twice:
    cmd: cat out.txt out.txt > twice.txt
    deps: [out.txt]
    outs: [twice.txt]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a stage of its own, and a command of a shell behind it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    # The stage that is started, not forked, finds Lorekeep there.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    folder = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    (tmp_path / "shouting.py").write_text(STAGE)
    (tmp_path / "pyproject.toml").write_text(
        '[project.entry-points."lorekeep.stages"]\nupper = "shouting"\n'
    )
    (tmp_path / "params.yaml").write_text(SETTINGS)
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    (tmp_path / "in.txt").write_text("iron")
    return tmp_path


def forked(server: Warm, *targets: str) -> int:
    return server.call(lambda runner: dvc_private.repro(targets, runner))


@pytest.mark.slow
def test_a_forked_stage_gives_what_a_started_one_gives(project: Path) -> None:
    server = Warm()
    assert forked(server, "twice") == 0
    assert (project / "twice.txt").read_text() == "IRONIRON"
    locked = (project / "dvc.lock").read_text()
    # What the stage loaded is loaded here from now on.
    assert "tabnanny" in server.noted
    server.load()
    assert "tabnanny" in sys.modules
    for name in ("dvc.lock", "out.txt", "twice.txt"):
        (project / name).unlink()
    (project / "in.txt").write_text("gold")
    assert forked(server, "twice") == 0
    assert (project / "twice.txt").read_text() == "GOLDGOLD"
    (project / "in.txt").write_text("iron")
    (project / "dvc.lock").unlink()
    assert os.spawnvp(os.P_WAIT, sys.executable, [sys.executable, "-m", "dvc", "repro", "-q"]) == 0
    assert (project / "dvc.lock").read_text() == locked


@pytest.mark.slow
def test_a_stage_that_fails_ends_dvc_and_the_next_call_goes_on(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    server = Warm()
    (project / "in.txt").write_text("broken")
    assert forked(server, "twice") != 0
    assert "ValueError: the stage failed" in capfd.readouterr().err
    assert not (project / "twice.txt").exists()
    (project / "in.txt").write_text("tin")
    assert forked(server, "twice") == 0
    assert (project / "twice.txt").read_text() == "TINTIN"


def test_a_forked_process_gives_its_exit_code(project: Path) -> None:
    assert project
    server = Warm()
    assert server.call(lambda runner: 3) == 3

    def exits(runner: object) -> int:
        raise SystemExit(4)

    def raises(runner: object) -> int:
        raise ValueError("wrong")

    assert server.call(exits) == 4
    assert server.call(raises) == 1


@pytest.mark.parametrize(
    ("command", "is_stage"),
    [
        ("python -m stages clean data/extract data/clean metrics/clean.json", True),
        ("python -m stages clean data/extract && rm -r data", False),
        ("python -m stages clean $(pwd)", False),
        ("python -m stages clean a > b", False),
        ("python -m stages", False),
        ("cat out.txt", False),
    ],
)
def test_only_a_plain_command_of_a_stage_is_forked(command: str, is_stage: bool) -> None:
    assert bool(warm.STAGE_COMMAND.fullmatch(command)) == is_stage


def test_changed_code_and_settings_are_noticed(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(project))
    (project / "loaded_here.py").write_text("A = 1\n")
    __import__("loaded_here")
    server = Warm()
    assert server.is_current()
    (project / "in.txt").write_text("gold")
    assert server.is_current()
    (project / "params.yaml").write_text(SETTINGS + "train: {steps: 7}\n")
    assert server.is_current()
    (project / "loaded_here.py").write_text("A = 1000\n")
    assert not server.is_current()
    server = Warm()
    (project / "params.yaml").write_text(
        textwrap.dedent(SETTINGS).replace("threads: 1", "threads: 2")
    )
    assert not server.is_current()
    sys.modules.pop("loaded_here")


def test_the_first_process_of_a_container_forks_no_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    assert warm.is_possible() == (sys.platform == "linux")
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert not warm.is_possible()
