"""The launcher: what a wrong call, wrong settings and wrong libraries say; what it settles before a stage runs."""

import errno
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from stages.core.project import lock, runtime
from stages.core.project.errors import LockError
from stages.core.project.params import Run

ROOT = Path(__file__).parent.parent
RUN = "run: {seed: 1, threads: 1, isa: avx2, device: cpu}\n"


def launch(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stages", *arguments],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)} | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a lock file that holds and the smallest settings of `extract`."""
    (tmp_path / "requirements.lock").write_text("# nothing\n")
    source = "{kind: jsonl, name: a, path: a.jsonl, lang: en, map: {text: t}}"
    (tmp_path / "params.yaml").write_text(f"{RUN}extract: {{sources: [{source}]}}\n")
    (tmp_path / "a.jsonl").write_text('{"t": "hello"}\n')
    return tmp_path


def test_a_stage_runs_and_its_time_is_noted(folder: Path) -> None:
    done = launch(folder, "extract", ".", "out")
    assert done.returncode == 0, done.stderr
    assert (folder / "out" / "records.parquet").is_file()
    timing = json.loads((folder / "metrics/timing.json").read_text())
    assert timing["extract"]["seconds"] >= 0
    assert timing["extract"]["peak_bytes"] > 10_000_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["exract", "a"], "no stage 'exract'; did you mean extract?"),
        (["extract", "one"], "usage: python -m stages extract <root> <out>"),
    ],
)
def test_a_wrong_command_line_exits_with_2(
    folder: Path, arguments: list[str], message: str
) -> None:
    done = launch(folder, *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_help_says_where_stages_and_settings_stand(folder: Path) -> None:
    said = " ".join(launch(folder, "--help").stdout.split())
    assert "dvc.yaml lists the stages of a project in flow order" in said
    assert "params.yaml holds their settings" in said


def test_wrong_settings_are_named_all_at_once_without_traceback(folder: Path) -> None:
    (folder / "params.yaml").write_text(
        RUN.replace("threads", "thread") + "extract: {source: []}\n"
    )
    done = launch(folder, "extract", ".", "out")
    assert done.returncode == 1
    assert "run.thread: unknown; did you mean threads?" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_input_error_is_told_without_traceback(folder: Path) -> None:
    (folder / "a.jsonl").unlink()
    done = launch(folder, "extract", ".", "out")
    assert done.returncode == 1
    assert "a.jsonl is not there; put the file there or mend params.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_is_told_without_traceback_and_leaves_the_old_output_whole(
    folder: Path,
) -> None:
    assert launch(folder, "extract", ".", "out").returncode == 0
    before = (folder / "out/records.parquet").read_bytes()
    (folder / "a.jsonl").write_text(
        "".join(f'{{"t": "{random.Random(i).randbytes(40).hex()}"}}\n' for i in range(2000))
    )
    done = subprocess.run(
        [sys.executable, "-m", "stages", "extract", ".", "out"],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )  # fmt: skip
    assert done.returncode == 1
    assert "ResourceError: extract: no space left to write below " in done.stderr
    assert (
        "free some space there and run dvc repro again; the former output is unchanged"
        in done.stderr
    )
    assert "Traceback" not in done.stderr
    assert (folder / "out/records.parquet").read_bytes() == before
    assert not list(folder.glob(".*.partial"))


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EACCES, "make it writable for this user and run dvc repro again"),
        (errno.EROFS, "make it writable for this user and run dvc repro again"),
    ],
)
def test_errors_of_the_file_system_say_what_to_do(
    folder: Path,
    number: int,
    advice: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from stages import __main__, extract

    def failing(*_: object) -> None:
        raise OSError(number, os.strerror(number), "out/.records.parquet.partial")

    monkeypatch.chdir(folder)
    monkeypatch.setattr(extract, "run", lambda params, run, root, out: failing(root, out))
    monkeypatch.setattr(runtime, "die_with_parent", lambda: None)
    monkeypatch.setattr(runtime, "prepare", lambda *_, **__: None)
    assert __main__.main(["extract", ".", "out"]) == 1
    message = capsys.readouterr().err
    assert f"{os.strerror(number)}: 'out/.records.parquet.partial'; {advice}" in message
    assert message.startswith("\nextract: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission_is_named(folder: Path) -> None:
    (folder / "closed").mkdir(mode=0o500)
    done = launch(folder, "extract", ".", "closed/out")
    assert done.returncode == 1
    assert "closed" in done.stderr
    assert "make it writable for this user" in done.stderr


def test_an_unforeseen_error_keeps_its_traceback(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stages import __main__, extract

    def failing(*_: object) -> None:
        raise OSError(errno.EIO, "broken cable")

    monkeypatch.chdir(folder)
    monkeypatch.setattr(extract, "run", lambda params, run, root, out: failing(root, out))
    monkeypatch.setattr(runtime, "die_with_parent", lambda: None)
    monkeypatch.setattr(runtime, "prepare", lambda *_, **__: None)
    with pytest.raises(OSError, match="broken cable"):
        __main__.main(["extract", ".", "out"])


def test_other_libraries_than_the_lock_file_stop_a_run(folder: Path) -> None:
    (folder / "requirements.lock").write_text("pandas==0.0.1\nno-such-library==1.0\n")
    done = launch(folder, "extract", ".", "out")
    assert done.returncode == 1
    assert "run `make setup`" in done.stderr
    assert "pandas: " in done.stderr
    assert "no-such-library: not installed, the lock file says 1.0" in done.stderr


def test_the_project_runs_on_its_lock_file() -> None:
    lock.check(ROOT / "requirements.lock")


def test_missing_lock_file(tmp_path: Path) -> None:
    with pytest.raises(LockError, match="not found; run from the project's root folder"):
        lock.read(tmp_path / "requirements.lock")


def test_lock_lines(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("# top\nA_b.c==1.2 # why\nx==3; python_version > '3'\n\n")
    assert lock.read(tmp_path / "lock") == {"a-b-c": "1.2", "x": "3"}


@pytest.mark.parametrize("isa", ["avx2", "default"])
def test_threads_and_instruction_set_reach_torch(isa: Any) -> None:
    code = "import torch; print(torch.get_num_threads(), torch.backends.cpu.get_cpu_capability())"
    settings = runtime.settings(Run(seed=1, threads=2, isa=isa, device="cpu"))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["2", "AVX2" if isa == "avx2" else "DEFAULT"]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({}, "GOMP_SPINCOUNT = '20000'"),
        ({"GOMP_SPINCOUNT": "7"}, "GOMP_SPINCOUNT = '7'"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "OMP_WAIT_POLICY = 'ACTIVE'"),
    ],
)
def test_waiting_threads_spin_for_a_short_time_unless_the_user_says_otherwise(
    given: dict[str, str], shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenMP prints its settings when torch loads it, where OMP_DISPLAY_ENV asks for that."""
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    code = (
        "from stages.core.project.params import Run; from stages.core.project import runtime;"
        "runtime.prepare(Run()); import torch"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"OMP_DISPLAY_ENV": "VERBOSE"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown in done.stderr


def test_peak_memory_is_that_of_the_largest_process() -> None:
    from stages import __main__

    own = psutil.Process().memory_info().rss
    # The kernel counts a process's pages in batches, so that the peak may lag a little behind.
    assert __main__.peak_memory() >= 0.99 * own
    code = "x = bytearray(900_000_000)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert 900_000_000 < __main__.peak_memory() < 100_000_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="parents are watched on Linux only")
def test_a_stage_dies_with_its_parent(folder: Path) -> None:
    endless = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT id FROM n WHERE id < 0"
    source = f"{{kind: sql, name: a, path: a.sql, lang: en, query: '{endless}', table: n, key: id, map: {{text: id}}}}"
    (folder / "params.yaml").write_text(f"{RUN}extract: {{sources: [{source}]}}\n")
    (folder / "a.sql").write_text("CREATE TABLE n (id);\n")
    code = f"import subprocess, sys; subprocess.run([{sys.executable!r}, '-m', 'stages', 'extract', '.', 'out'])"
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    child = wait_for(lambda: children(parent.pid))
    time.sleep(2)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    assert wait_for(lambda: has_ended(child[0]))


def children(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children()


def has_ended(process: psutil.Process) -> bool:
    """Whether a process is gone, or dead and not yet collected by its new parent."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def wait_for(condition: Any, seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert found
    return found
