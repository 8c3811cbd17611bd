"""`lore teach`: the dry run, the run, a kill, filling by hand, and plain words where something is missing."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lore.__main__ import main
from stages.augment.teacher.record import read_record
from stages.core.records import record
from tests.lore.teaching import taught
from tests.lore.teaching.taught import KEY, ROOT, Teacher, scripted, send_error, send_text

FOLDER = Path("data/teacher")
MISSING = 22


@pytest.fixture
def teacher() -> Iterator[Teacher]:
    server = Teacher()
    yield server
    server.close()


@pytest.fixture
def project(teacher: Teacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = taught.write_project(
        tmp_path / "project", teacher.url, prices={"input": 0.5, "output": 1.5}
    )
    monkeypatch.chdir(root)
    monkeypatch.setenv("TEACHER_KEY", KEY)
    return root


@contextlib.contextmanager
def started(project: Path) -> Iterator[subprocess.Popen[str]]:
    """Start `lore teach` as a process. At the end it is waited for."""
    with subprocess.Popen(
        [sys.executable, "-m", "lore", "teach"],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell lets its background jobs ignore Ctrl-C, and whoever runs the tests may be one.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    ) as process:
        yield process


def until(condition: Any) -> None:
    """Wait until a condition holds, a minute at most."""
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it never happened")


@pytest.mark.usefixtures("project")
class TestTeach:
    def test_a_dry_run_asks_nothing(
        self, teacher: Teacher, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["teach", "--dry-run"]) == 0
        out = capsys.readouterr().out
        assert teacher.bodies == []
        assert read_record(FOLDER) == {}
        assert re.search(r"corrupted +en +10 +10", out)
        assert re.search(r"text_questions +zh +1 +1", out)
        assert "not asked, text gives orders: 1" in out
        assert re.search(
            r"to be asked: 22 requests, about [\d,]+ tokens in prompts and [\d,]+ in answers", out
        )
        assert re.search(r"that is about 0\.00\d+ at the prices", out)
        assert "dry run: nothing was asked" in out

    def test_a_run(self, teacher: Teacher, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["teach"]) == 0
        out = capsys.readouterr().out
        assert f"{MISSING} of {MISSING} missing requests answered by gpt-3.5-turbo" in out
        assert "spent so far: 3,300 tokens of 1,000,000, 0.0027 in money" in out
        assert "next: dvc repro; git add data/teacher; git commit" in out
        before = {path.name: path.read_bytes() for path in FOLDER.iterdir()}
        assert main(["teach"]) == 0
        assert "all 22 requests have an answer; nothing was asked" in capsys.readouterr().out
        assert {path.name: path.read_bytes() for path in FOLDER.iterdir()} == before
        assert len(teacher.bodies) == MISSING

    def test_some_have_no_answer(
        self, teacher: Teacher, capsys: pytest.CaptureFixture[str]
    ) -> None:
        teacher.faults = [None, send_error(400, "too long"), send_text("no"), send_text("no")]
        assert main(["teach"]) == 0
        out = capsys.readouterr().out
        assert (
            "answer of no use, broken_json: 1" in out
            or "answer of no use, refused_by_endpoint: 1" in out
        )
        asked = len(teacher.bodies)
        assert main(["teach", "--again"]) == 0
        again = len(teacher.bodies) - asked
        assert again in (1, 2)
        assert main(["teach", "--again"]) == 0
        assert len(teacher.bodies) == asked + again

    def test_the_budget_ends_a_run(self, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = project / "params.yaml"
        path.write_text(
            path.read_text().replace("concurrency: 2", "budget: {tokens: 3000}\n    concurrency: 2")
        )
        assert main(["teach", "--dry-run"]) == 0
        assert (
            "! more than the budget leaves: augment.teacher.budget.tokens is 3,000"
            in capsys.readouterr().out
        )
        assert main(["teach"]) == 3
        out = capsys.readouterr().out
        assert "stopped early: the budget is used up" in out
        assert re.search(r"next: lore teach \(\d+ requests have no answer yet\)", out)

    def test_no_key(
        self, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.delenv("TEACHER_KEY")
        assert main(["teach"]) == 0, "a server on this machine needs none"
        path = project / "params.yaml"
        path.write_text(
            re.sub(
                r"base_url: .*",
                "base_url: https://api.example.org/v1\n    model: other",
                path.read_text(),
            )
        )
        assert main(["teach"]) == 1
        error = capsys.readouterr().err
        assert "the environment has no TEACHER_KEY, the key for https://api.example.org/v1" in error
        assert "export TEACHER_KEY=…" in error
        assert main(["teach", "--dry-run"]) == 0, "which needs no key"

    def test_a_wrong_key(self, teacher: Teacher, capsys: pytest.CaptureFixture[str]) -> None:
        teacher.faults = [send_error(401, f"Incorrect API key provided: {KEY}")] * 9
        assert main(["teach"]) == 1
        captured = capsys.readouterr()
        assert "the key in TEACHER_KEY is not accepted" in captured.err
        assert KEY not in captured.out + captured.err
        assert len(teacher.bodies) == 1

    def test_no_teacher(self, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (project / "params.yaml").write_text("run: {}\naugment: {}\n")
        assert main(["teach"]) == 1
        assert "augment.teacher is null, so there is nobody to ask" in capsys.readouterr().err

    def test_no_records(self, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (project / "data/clean/records.parquet").unlink()
        assert main(["teach"]) == 1
        assert "run the stage that writes it (dvc repro)" in capsys.readouterr().err

    def test_prune(self, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
        main(["teach"])
        path = project / "params.yaml"
        path.write_text(path.read_text().replace("corrupted: 1", "corrupted: 0"))
        main(["teach", "--dry-run"])
        assert "10 answers of the record are needed no more" in capsys.readouterr().out
        assert main(["teach", "--prune"]) == 0
        assert "10 answers removed, 12 kept" in capsys.readouterr().out
        assert len(read_record(FOLDER)) == MISSING - 10
        assert not (FOLDER / "corrupted.jsonl").exists()
        assert (FOLDER / "README.md").exists()


@pytest.mark.usefixtures("project")
class TestFilling:
    def exported(self) -> list[dict[str, Any]]:
        assert main(["teach", "--export", "open.jsonl"]) == 0
        lines = Path("open.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def write(self, lines: list[Any]) -> None:
        Path("filled.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + "\n")

    def test_out_and_back(self, teacher: Teacher, capsys: pytest.CaptureFixture[str]) -> None:
        lines = self.exported()
        assert len(lines) == MISSING
        for line in lines:
            assert {"key", "messages", "schema", "model"} <= line.keys()
            line["answer"] = scripted(line)
        self.write(lines)
        assert main(["teach", "--fill", "filled.jsonl"]) == 0
        assert "22 answers taken; 0 requests have none yet" in capsys.readouterr().out
        assert {entry.origin for entry in read_record(FOLDER).values()} == {"filled"}
        assert main(["teach"]) == 0
        assert teacher.bodies == []

    def test_lines_that_cannot_be_taken(self, capsys: pytest.CaptureFixture[str]) -> None:
        first, second, third, *_ = self.exported()
        good = {"key": first["key"], "answer": json.dumps(scripted(first))}
        self.write(
            [
                good,
                good,
                {"key": second["key"], "answer": "no JSON"},
                {"key": second["key"], "answer": {"a": 1}},
                {"key": third["key"]},
                {"key": "0" * 64, "answer": {"patterns": []}},
                {"answer": {}},
                [],
            ]
        )
        with Path("filled.jsonl").open("a") as file:
            file.write("{half\n")
        assert main(["teach", "--fill", "filled.jsonl"]) == 1
        captured = capsys.readouterr()
        assert "1 answers taken; 21 requests have none yet" in captured.out
        for number, words in {
            2: "a second answer",
            3: "broken_json",
            4: "wrong_schema",
            5: "needs an `answer`",
            6: "nothing asks for",
            7: "needs the `key`",
            8: "needs the `key`",
            9: "not a line of JSON",
        }.items():
            assert re.search(rf"filled\.jsonl:{number}: .*{words}", captured.err)
        self.write([good])
        assert main(["teach", "--fill", "filled.jsonl"]) == 1
        assert "has an answer already; it stays" in capsys.readouterr().err

    def test_no_such_file(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["teach", "--fill", "none.jsonl"]) == 1
        assert "none.jsonl: cannot be read: No such file" in capsys.readouterr().err


@pytest.mark.slow
class TestKills:
    def test_a_kill_asks_nothing_twice(self, project: Path, teacher: Teacher) -> None:
        teacher.delay = 0.1
        with started(project) as process:
            until(lambda: len(teacher.bodies) >= 8)
            os.kill(process.pid, signal.SIGKILL)
        until(lambda: teacher.at_once == 0)
        journal = project / "data/.teacher.journal.partial"
        received = len(journal.read_bytes().splitlines())
        # With two at a time, two at most were on the way when the kill came.
        on_the_way = len(teacher.bodies) - received
        assert received > 0
        assert 0 <= on_the_way <= 2
        assert main(["teach"]) == 0
        counts = Counter(teacher.prompts.values())
        assert counts == Counter({1: MISSING - on_the_way, 2: on_the_way}) - Counter({2: 0})
        assert len(read_record(FOLDER)) == MISSING
        assert not journal.exists()

    def test_many_kills(self, project: Path, teacher: Teacher) -> None:
        teacher.delay = 0.05
        for wanted in (3, 9, 15):
            with started(project) as process:
                until(lambda count=wanted: len(teacher.bodies) >= count)
                os.kill(process.pid, signal.SIGKILL)
        assert main(["teach"]) == 0
        assert len(read_record(FOLDER)) == MISSING
        assert len(teacher.bodies) <= MISSING + 3 * 2

    def test_ctrl_c_waits_for_what_is_on_the_way(self, project: Path, teacher: Teacher) -> None:
        teacher.delay = 0.3
        with started(project) as process:
            until(lambda: len(teacher.bodies) >= 4)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=60)
        assert process.returncode == 3, out
        assert "stopped early: stopped by Ctrl-C" in out
        assert len(read_record(FOLDER)) == len(teacher.bodies) < MISSING
        teacher.delay = 0.0
        assert main(["teach"]) == 0
        assert set(teacher.prompts.values()) == {1}

    def test_two_at_once(self, project: Path, teacher: Teacher) -> None:
        teacher.delay = 0.2
        with started(project) as process:
            until(lambda: len(teacher.bodies) >= 1)
            assert main(["teach"]) == 1
            process.communicate(timeout=60)
        assert len(teacher.bodies) == MISSING

    def test_a_replay_without_a_network(self, project: Path) -> None:
        """A network namespace of its own has no route, not even to this machine."""
        unshare = ["unshare", "--user", "--map-root-user", "--net"]
        with contextlib.suppress(FileNotFoundError):
            if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode:
                pytest.skip("this machine makes no network namespaces")
        assert main(["teach"]) == 0
        inputs = (
            f"data/clean data/pictures data/raw/wordings.yaml {ROOT / 'data/wordnet'} data/teacher"
        )
        arguments = f"augment {inputs} data/augment metrics/augment.json".split()
        record.write(project / "data/pictures/records.parquet", [])
        (project / "requirements.lock").write_text("")
        done = subprocess.run(
            [*unshare, sys.executable, "-m", "stages", *arguments],
            cwd=project,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "teacher: 59 items asked = 32 accepted + 27 refused + 0 failed" in done.stdout
        for path in project.rglob("*"):
            if path.is_file():
                assert KEY.encode() not in path.read_bytes(), path


DVC_YAML = """
stages:
  augment:
    cmd: >-
      python -m stages augment data/clean data/pictures data/raw/wordings.yaml WORDNET data/teacher
      data/augment metrics/augment.json
    deps: [data/clean, data/pictures, data/raw/wordings.yaml, data/teacher]
    params: [augment]
    outs: [data/augment]
"""


@pytest.mark.slow
def test_a_changed_record_asks_for_itself_only(
    project: Path, teacher: Teacher, capsys: pytest.CaptureFixture[str]
) -> None:
    """With real DVC: teach, repro, change a record, be told what is missing, teach, repro."""

    def command(*words: str) -> tuple[int, str]:
        done = subprocess.run(
            words,
            cwd=project,
            env=os.environ | {"PYTHONPATH": str(ROOT), "DVC_NO_ANALYTICS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    (project / "dvc.yaml").write_text(DVC_YAML.replace("WORDNET", str(ROOT / "data/wordnet")))
    (project / "requirements.lock").write_text("")
    record.write(project / "data/pictures/records.parquet", [])
    assert command("git", "init", "-q")[0] == 0
    assert command("dvc", "init", "-q")[0] == 0
    code, out = command("dvc", "repro")
    assert code != 0
    assert "22 requests to the teacher have no answer" in out
    assert "run lore teach --dry-run" in out
    assert main(["teach"]) == 0
    code, out = command("dvc", "repro")
    assert code == 0, out
    assert "Running stage 'augment'" in out
    # Nothing asks, and nothing runs again.
    code, out = command("dvc", "repro")
    assert "didn't change" in out
    assert len(teacher.bodies) == MISSING

    path = project / "data/clean/records.parquet"
    rows = record.read(path)
    for row in rows:
        if row["subject"] == "talc" and row["kind"] == "statement":
            row["text"] = "Talc is the softest mineral. Tailors mark cloth and paper with talc."
    record.write(path, rows)
    code, out = command("dvc", "repro")
    assert code != 0
    assert "2 requests to the teacher have no answer (1 paraphrases, 1 text_questions)" in out
    capsys.readouterr()
    assert main(["teach"]) == 0
    assert "2 of 2 missing requests answered" in capsys.readouterr().out
    assert len(teacher.bodies) == MISSING + 2
    code, out = command("dvc", "repro")
    assert code == 0, out
