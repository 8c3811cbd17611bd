"""memo: with it, without it, damaged, killed or shared, the result is the same; another file, setting or code is computed."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stages.core.repeatable import fingerprint, memo

ROOT = Path(__file__).parents[3]
calls: list[str] = []


def words(file: Path, times: int = 1) -> Iterator[Any]:
    """An expensive function: a tuple a word; a file that holds "fault" breaks there."""
    text = file.read_text(encoding="utf-8")
    calls.append(text)
    for number, word in enumerate(text.split()):
        if word == "fault":
            raise ValueError("a fault")
        yield number, word * times, [0.1]


def remembered(file: Path, *arguments: Any, engine: str = "") -> list[Any]:
    return list(memo.remembered(words, file, *arguments, engine=engine))


@pytest.fixture(autouse=True)
def code(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the fingerprint says of the code; `calls` and what was said once begin anew."""
    found = ["code"]
    monkeypatch.setattr(fingerprint, "of", lambda module: found[0])
    calls.clear()
    memo.unusable.cache_clear()
    return found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "page"
    path.write_text("熔点 iron", encoding="utf-8")
    return path


def entries() -> list[Path]:
    return sorted(memo.files())


def test_what_is_known_is_not_computed(file: Path) -> None:
    first, second = remembered(file), remembered(file)
    assert first == second == [[0, "熔点", [0.1]], [1, "iron", [0.1]]]
    assert len(calls) == 1


def test_the_name_of_a_file_is_nothing_and_its_content_all(file: Path) -> None:
    remembered(file)
    twin = file.rename(file.with_name("twin"))
    remembered(twin)
    assert len(calls) == 1
    twin.write_text("copper")
    assert remembered(twin) == [[0, "copper", [0.1]]]


def test_another_argument_engine_or_code_is_computed(file: Path, code: list[str]) -> None:
    for arguments, engine, version in [
        ((), "", "code"),
        ((2,), "", "code"),
        ((2,), "5.3", "code"),
        ((2,), "5.3", "new"),
    ]:
        code[0] = version
        before = len(calls)
        remembered(file, *arguments, engine=engine)
        remembered(file, *arguments, engine=engine)
        assert len(calls) == before + 1


def test_nothing_found_is_known_too(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    assert remembered(tmp_path / "empty") == remembered(tmp_path / "empty") == []
    assert len(calls) == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda x: b"",
        lambda x: x[:-1],
        lambda x: x + b"\n",
        lambda x: b"0" + x[1:],
        lambda x: x[:64],
    ],
)
def test_what_is_damaged_is_computed_again(file: Path, damage: Any) -> None:
    wanted = remembered(file)
    (entry,) = entries()
    whole = entry.read_bytes()
    entry.write_bytes(damage(whole))
    assert remembered(file) == wanted
    assert len(calls) == 2
    assert entry.read_bytes() == whole


def test_an_entry_under_the_name_of_another_is_damaged(file: Path) -> None:
    remembered(file)
    (entry,) = entries()
    stranger = entry.read_bytes()
    file.write_text("copper")
    remembered(file)
    (other,) = [path for path in entries() if path != entry]
    other.write_bytes(stranger)
    assert remembered(file) == [[0, "copper", [0.1]]]


def test_before_an_error_items_come_and_nothing_is_kept(file: Path) -> None:
    file.write_text("iron fault copper")
    for _ in range(2):
        found = memo.remembered(words, file)
        assert next(found) == [0, "iron", [0.1]]
        with pytest.raises(ValueError, match="a fault"):
            next(found)
    assert len(calls) == 2
    assert not entries()


def test_who_stops_early_keeps_nothing(file: Path) -> None:
    found = memo.remembered(words, file)
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert not entries()


def test_what_was_edited_meanwhile_is_not_kept(file: Path, code: list[str]) -> None:
    found = memo.remembered(words, file)
    next(found)
    content = file.read_bytes()
    file.write_text("copper")
    list(found)
    assert not entries()
    file.write_bytes(content)
    found = memo.remembered(words, file)
    next(found)
    code[0] = "new"
    list(found)
    assert not entries()


def test_a_file_that_cannot_be_read_is_the_function_s_affair(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        remembered(tmp_path / "nowhere")


def test_a_folder_that_cannot_be_used_costs_a_warning(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOREKEEP_MEMO", str(file / "below a file"))
    assert remembered(file) == remembered(file)
    assert len(calls) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert (
        "below a file: Not a directory; results are computed anew and not kept. Free some space there, make it"
        in said
    )


def test_a_full_disk_costs_a_warning(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path, content: bytes) -> None:
        with path.open("wb") as opened:
            opened.write(content[:9])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        assert remembered(file) == remembered(file)
    assert not entries()
    assert capsys.readouterr().err.count("No space left on device") == 1


def test_a_folder_that_is_only_read_is_used(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remembered(file)

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "utime", refuse)
    monkeypatch.setattr(Path, "mkdir", refuse)
    remembered(file)
    assert len(calls) == 1


def test_where_it_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LOREKEEP_MEMO")
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    assert memo.folder() == tmp_path / ".memo"
    monkeypatch.setenv("DVC_ROOT", "/project")  # what an experiment in a temporary folder sees
    assert memo.folder() == Path("/project/.memo")
    monkeypatch.setenv("LOREKEEP_MEMO", "/shared")
    assert memo.folder() == Path("/shared")


WORKER = """
import sys
from pathlib import Path
from stages.core.repeatable import fingerprint, memo
fingerprint.of = lambda module: "code"

def lines(file, size):
    for number in range(size):
        yield file.read_text() + str(number) * 99

for turn in range(int(sys.argv[2])):
    for file in sorted(Path(sys.argv[1]).iterdir()):
        found = list(memo.remembered(lines, file, 200 + turn))
        assert found == list(lines(file, 200 + turn)), file
print(memo.counts["reused"])
"""


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    folder = tmp_path / "pages"
    folder.mkdir()
    for number in range(20):
        (folder / str(number)).write_text(f"page {number}")
    return folder


def worker(pages: Path, turns: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, str(pages), str(turns)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def broken() -> list[Path]:
    """Entries that are not whole; temporary files aside."""
    done = [path for path in entries() if not path.name.endswith(memo.PARTIAL)]
    return [path for path in done if memo.load(path) is None]


def test_processes_may_share_it(pages: Path) -> None:
    processes = [worker(pages, 3) for _ in range(3)]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    assert len(entries()) == 60
    assert not broken()
    again = worker(pages, 3)
    assert again.communicate(timeout=120)[0] == "60\n"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such signal here")
def test_kills_leave_whole_results(pages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for moment in range(6):
        process = worker(pages, 100)
        deadline = time.monotonic() + 60
        wanted = len(entries()) + 7 * moment
        while len(entries()) <= wanted and time.monotonic() < deadline:
            time.sleep(0.005)
        process.kill()
        process.communicate()
        assert entries()
        assert not broken()
    monkeypatch.setattr(memo, "STALE", -1)
    memo.prune(10**12)
    assert not [path for path in entries() if path.name.endswith(memo.PARTIAL)]
    process = worker(pages, 1)
    assert process.communicate(timeout=120)[0] == "20\n"


def test_prune_keeps_what_was_used_last(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / "page").write_text(f"page {number}")
        remembered(tmp_path / "page")
    for age, entry in enumerate(
        sorted(memo.files(), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    ):
        os.utime(entry, (time.time() - 1000 * age,) * 2)
    (tmp_path / "page").write_text("page 0")
    remembered(tmp_path / "page")  # the oldest, used just now
    size = entries()[0].stat().st_size
    assert memo.prune(2 * size + 1) == (2, 2 * size)
    calls.clear()
    for number in (0, 3):
        (tmp_path / "page").write_text(f"page {number}")
        remembered(tmp_path / "page")
    assert not calls
    assert memo.prune(0) == (2, 2 * size)
    assert not entries()


def test_entries_hold_json_lines(file: Path) -> None:
    remembered(file)
    (entry,) = entries()
    checksum, *lines = entry.read_bytes().split(b"\n")
    assert len(checksum) == 64
    assert [json.loads(line) for line in lines] == remembered(file)
