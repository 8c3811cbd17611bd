"""Which executor a run gets, and how the former name of the setting is reported."""

from pathlib import Path

import pytest

from stages.core.executors.choice import executor_of
from stages.core.executors.local import LocalExecutor
from stages.core.project.errors import ParamsError
from stages.core.project.params import Run, read_section


def params_file(folder: Path, lines: str) -> Path:
    path = folder / "params.yaml"
    path.write_text(f"run:\n  seed: 1\n  threads: 2\n  isa: avx2\n  device: cpu\n{lines}")
    return path


def test_without_a_setting_this_machine_does_the_work(tmp_path: Path) -> None:
    run = read_section("run", Run, params_file(tmp_path, ""))
    assert run.executor == "local"
    with executor_of(run, tmp_path, "stages.clean") as executor:
        assert executor == LocalExecutor(2)
        assert list(executor.in_order(abs, [-1, 2, -3])) == [1, 2, 3]


def test_the_former_name_of_the_setting_is_reported_with_the_present_one(tmp_path: Path) -> None:
    path = params_file(tmp_path, "  engine: ray\n")
    with pytest.raises(ParamsError) as caught:
        read_section("run", Run, path)
    assert str(caught.value).splitlines()[1:] == [
        "  run.engine: unknown; did you mean run.executor?"
    ]


def test_an_unknown_executor_is_refused(tmp_path: Path) -> None:
    path = params_file(tmp_path, "  executor: spark\n")
    with pytest.raises(
        ParamsError, match=r"run\.executor: input should be 'local' or 'ray', got 'spark'"
    ):
        read_section("run", Run, path)
