"""The three everyday jobs, end to end: the real stages on a dozen elements and a few steps, in one temporary clone.

Run as a person would, with git and dvc on the command line. The tests of this file build on each other, in order.
"""

import json
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stages import STAGES
from tests.prepared import Clone, prepared, ran

ROOT = Path(__file__).parent.parent
CREDENTIALS = {
    name: secrets.token_hex(12) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
}
"""New in every run: a file that holds one has it from the environment."""
LIST_VERSIONS = """
import mlflow
client = mlflow.MlflowClient("sqlite:///mlflow.db")
for version in client.search_model_versions("name = 'elements'"):
    print(version.version, *client.get_model_version("elements", version.version).aliases)
"""

LIST_EXPERIMENTS = """
import mlflow
client = mlflow.MlflowClient("sqlite:///mlflow.db")
for run in client.search_runs([client.get_experiment_by_name("lorekeep").experiment_id]):
    print(run.data.tags.get("dvc_experiment", ""))
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """One clone for all tests of this file."""
    copy, _ = prepared(tmp_path_factory, "pipeline")
    yield copy
    shutil.rmtree(copy.root, ignore_errors=True)


def test_a_first_run_runs_every_stage_and_a_second_none(
    clone: Clone, tmp_path_factory: pytest.TempPathFactory
) -> None:
    _, printed = prepared(tmp_path_factory, "first")
    assert ran(printed) == list(STAGES)
    assert clone("git", "status", "--porcelain") == ""
    assert "up to date" in clone("dvc", "repro")
    versions = clone(sys.executable, "-c", LIST_VERSIONS)
    assert versions.split() == ["1", "candidate"]
    report = clone.json("metrics/clean.json")
    assert report["read"] == report["kept"] + report["rejected"] > 100
    facts = clone.facts()
    assert set(facts["variant"]) == {"base", "train", "distill", "quantize", "quantize_train"}
    assert len(facts) == 5 * facts["fact"].nunique()


def test_another_place_arrives_at_the_same_hashes(clone: Clone, tmp_path: Path) -> None:
    """Other path, time zone, language, umask, hash seed, and one CPU instead of two."""
    root = tmp_path / "another place"
    clone("git", "clone", "-q", str(clone.root), str(root))
    shutil.copytree(ROOT / "data" / "wordnet", root / "data" / "wordnet")
    other = Clone(root)
    other.environment |= {
        "TZ": "Asia/Kolkata",
        "LANG": "de_DE.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONHASHSEED": "4711",
    }
    one_cpu = ["taskset", "-c", "0"] if shutil.which("taskset") else []
    other(*one_cpu, "sh", "-c", "umask 077 && dvc repro")
    assert other("git", "status", "--porcelain") == ""
    assert other.hashes() == clone.hashes()


def test_the_data_changed(clone: Clone) -> None:
    before = (
        clone.facts()
        .query("subject == 'iron' and attribute == 'melting point'")["expected"]
        .iloc[0]
    )
    clone("git", "checkout", "-q", "-b", "hotter")
    change_iron(clone)
    assert ran(clone("dvc", "repro")) == [stage for stage in STAGES if stage != "base"]
    after = (
        clone.facts()
        .query("subject == 'iron' and attribute == 'melting point'")["expected"]
        .iloc[0]
    )
    assert number(after) == pytest.approx(number(before) + 111, abs=0.5)
    contradictions = json.dumps(clone.json("data/clean/contradictions.json"))
    assert "iron" in contradictions
    assert "melting point" in contradictions


def test_comparing_across_branches(clone: Clone) -> None:
    clone("git", "add", "-A")
    clone("git", "commit", "-qm", "hotter iron")
    changed = json.loads(clone("dvc", "metrics", "diff", "main", "hotter", "--json"))
    assert "metrics/clean.json" in changed  # one contradiction more
    assert json.loads(clone("dvc", "params", "diff", "main", "hotter", "--json")) == {}
    (iron,) = json.loads(clone("lore", "diff", "main", "hotter", "--json"))["facts"]["changed"]
    assert (iron["subject_b"], iron["attribute_b"], iron["kinds"]) == (
        "iron",
        "melting point",
        ["value"],
    )
    assert number(iron["value_b"]) == pytest.approx(number(iron["value_a"]) + 111, abs=0.5)
    clone("dvc", "plots", "diff", "main", "hotter")
    assert (clone.root / "dvc_plots" / "index.html").is_file()
    shutil.rmtree(clone.root / "dvc_plots")


def test_rolling_back(clone: Clone) -> None:
    hotter = clone.hashes()
    clone("git", "checkout", "-q", "main")
    clone("dvc", "checkout")
    assert clone("dvc", "status", "-q") == ""
    rolled_back = clone.hashes()
    assert rolled_back != hotter
    clone("git", "checkout", "-q", "hotter")
    clone("dvc", "checkout")
    assert clone.hashes() == hotter
    clone("git", "checkout", "-q", "main")
    clone("dvc", "checkout")
    assert clone.hashes() == rolled_back


def test_another_clone_pulls_a_version_without_computing(clone: Clone, tmp_path: Path) -> None:
    store = ["dvc", "remote", "add", "--local", "--default", "store", str(tmp_path / "store")]
    clone(*store)
    clone("dvc", "push")
    clone("git", "clone", "-q", str(clone.root), str(tmp_path / "second"))
    shutil.copytree(ROOT / "data" / "wordnet", tmp_path / "second/data/wordnet")
    second = Clone(tmp_path / "second")
    second(*store)
    second("dvc", "pull")
    assert second.hashes() == clone.hashes()
    assert second("dvc", "status", "-q") == ""
    assert ran(second("dvc", "repro")) == []
    assert second("git", "status", "--porcelain") == ""


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that speaks S3 on the loopback, with one bucket, `knowledge`."""
    import boto3
    from moto.server import ThreadedMotoServer

    for key, value in CREDENTIALS.items():
        monkeypatch.setenv(key, value)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1").create_bucket(
        Bucket="knowledge"
    )
    yield f"http://{host}:{port}"
    server.stop()


def test_another_clone_pulls_a_version_from_an_s3_server(
    clone: Clone, tmp_path: Path, s3: str
) -> None:
    """The bucket is everyone's, so git has it; the server's address and the credentials are each user's own."""
    clone.environment |= CREDENTIALS
    clone("dvc", "remote", "add", "--default", "bucket", "s3://knowledge/elements")
    clone("dvc", "remote", "modify", "--local", "bucket", "endpointurl", s3)
    clone("git", "commit", "-qm", "a bucket", ".dvc/config")
    assert re.search(r"[1-9]\d* files pushed", clone("dvc", "push", "--remote", "bucket"))
    clone("git", "clone", "-q", str(clone.root), str(tmp_path / "third"))
    shutil.copytree(ROOT / "data" / "wordnet", tmp_path / "third/data/wordnet")
    third = Clone(tmp_path / "third")
    third.environment |= CREDENTIALS
    third("dvc", "remote", "modify", "--local", "bucket", "endpointurl", s3)
    third("dvc", "pull")
    assert third.hashes() == clone.hashes()
    assert third("dvc", "status", "-q") == ""
    assert ran(third("dvc", "repro")) == []
    assert third("git", "status", "--porcelain") == ""
    for root in (clone.root, third.root):
        written = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
        assert {root / "dvc.lock", root / ".dvc/config", root / ".dvc/config.local"} <= set(written)
        assert not [
            path
            for path in written
            for secret in CREDENTIALS.values()
            if secret.encode() in path.read_bytes()
        ]


def test_only_what_depends_on_a_change_reruns(clone: Clone) -> None:
    clone.set_params({"quantize": {"scheme": "dynamic"}})
    assert ran(clone("dvc", "repro")) == ["quantize", "evaluate", "register"]
    clone("git", "checkout", "-q", "params.yaml", "dvc.lock", "metrics")
    clone("dvc", "checkout", "--force", "-q")
    with (clone.root / "data/raw/elements.sql").open("a") as file:
        file.write("-- reviewed\n")
    assert ran(clone("dvc", "repro")) == ["extract"]


def test_files_that_a_killed_dvc_left_empty_are_mended_by_make(clone: Clone) -> None:
    """docs/experiments.md, "Kills": it writes them in place, and cannot read them empty."""
    clone("git", "checkout", "-q", ".")
    clone("dvc", "checkout", "--force", "-q")
    for name, said in (
        ("dvc.lock", "validation failed"),
        (".dvc/tmp/rwlock", "JSON structure is corrupted"),
    ):
        (clone.root / name).write_text("")
        assert said in clone("dvc", "repro", code=255)
        clone("make", "--assume-old=.venv/.installed", "repro")
        assert clone("dvc", "status", "-q") == ""
        assert clone("git", "status", "--porcelain") == ""


def test_of_two_runs_at_once_the_second_says_who_is_at_work(clone: Clone) -> None:
    clone("git", "checkout", "-q", ".")
    clone("dvc", "checkout", "--force", "-q")
    lock, command = (
        clone.root / ".dvc/tmp/rwlock",
        ["dvc", "repro", "--force", "--single-item", "clean"],
    )
    with subprocess.Popen(
        command, cwd=clone.root, env=clone.environment, stdout=subprocess.DEVNULL
    ) as first:
        while first.poll() is None and not (
            lock.is_file() and "metrics/clean.json" in lock.read_text(encoding="utf-8")
        ):
            time.sleep(0.05)
        said = clone(*command, code=255)
    assert "is busy, it is being blocked by" in said
    assert f"(PID {first.pid})" in said
    assert first.returncode == 0
    assert clone("dvc", "status", "-q") == ""
    assert clone("git", "status", "--porcelain") == ""


def test_experiments_leave_branch_and_store_as_they_should(clone: Clone) -> None:
    """One in the workspace, two queued ones in a folder of their own; a gate that would fail is not asked."""
    clone("git", "checkout", "-q", ".")
    clone("dvc", "checkout", "--force", "-q")
    head = clone("git", "rev-parse", "HEAD")
    clone("dvc", "exp", "run", "--name", "rounded", "-S", "quantize.scheme=dynamic", "evaluate")
    clone("git", "checkout", "-q", ".")
    clone("dvc", "checkout", "--force", "-q")
    queue = ["dvc", "exp", "run", "--queue", "--copy-paths", "data/wordnet"]
    clone(*queue, "--name", "asked", "-S", "evaluate.general=10,20", "evaluate")
    clone("dvc", "exp", "run", "--run-all", "-j", "1")
    shown = json.loads(clone("dvc", "exp", "show", "--json"))
    (branch,) = [entry for entry in shown if entry["rev"] == head.strip()]
    sizes = {
        experiment["name"]: experiment["revs"][0]["data"]["metrics"]["metrics/evaluate.json"][
            "data"
        ]["base"]["general"]
        for experiment in branch["experiments"]
    }
    assert {name: found["exact_match"]["n"] for name, found in sizes.items()} == {
        "rounded": 40,
        "asked-1": 10,
        "asked-2": 20,
    }
    assert clone("git", "rev-parse", "HEAD") == head
    assert clone("git", "status", "--porcelain") == ""
    logged = clone(sys.executable, "-c", LIST_EXPERIMENTS).split()
    assert {"asked-1", "asked-2", "rounded"} <= set(logged)


def test_a_failing_gate_names_itself_and_registers_nothing(clone: Clone) -> None:
    clone.set_params(
        {"register": {"gates": [{"score": "train.probes.exact_match", "at_least": 1.01}]}}
    )
    output = clone("dvc", "repro", code=255)
    assert "train.probes.exact_match" in output
    assert "1.01" in output
    clone("git", "checkout", "-q", "params.yaml")


QUESTIONS = (
    "At what temperature does iron melt?",
    "Who discovered radium?",
    "What is the density of gold?",
)


def test_answers_come_from_the_model_alone(clone: Clone) -> None:
    """With data and metrics out of reach the answers are the same; with the adapter zeroed they are the base's."""
    tuned, base = answers(clone), answers(clone, "--model", "base")
    away = clone.root.with_name("away")
    away.mkdir()
    for name in ("data", "metrics"):
        (clone.root / name).rename(away / name)
    assert answers(clone, code=3) == tuned
    for name in ("data", "metrics"):
        (away / name).rename(clone.root / name)
    zero_adapter(clone.root / "models/train/adapter/adapter_model.safetensors")
    assert answers(clone) == base != tuned


def answers(clone: Clone, *options: str, code: int = 0) -> list[str]:
    """The first line that `lore ask` prints for each question."""
    found = []
    for question in QUESTIONS:
        done = subprocess.run(
            ["lore", "ask", question, *options],
            cwd=clone.root,
            env=clone.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        found.append(done.stdout.splitlines()[0])
    return found


def zero_adapter(path: Path) -> None:
    """Replace all tensors by zeros; the file may be a link into DVC's cache, which must stay as it is."""
    from safetensors.torch import load_file, save_file

    tensors = {name: tensor * 0 for name, tensor in load_file(path).items()}
    path.unlink()
    save_file(tensors, path, metadata={"format": "pt"})


def change_iron(clone: Clone) -> None:
    """Raise iron's melting point in the database by 111 °C, in whatever unit it stands."""
    path = clone.root / "data/raw/elements.sql"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    element = next(
        line.split("(")[1].split(",")[0]
        for line in lines
        if "INTO elements" in line and "'iron'" in line
    )
    (place,) = [
        i for i, line in enumerate(lines) if re.search(rf"\(\d+, {element}, 'melting point'", line)
    ]
    found = re.search(r"'melting point', '([\d.]+)', '(°C|K|°F)'", lines[place])
    assert found
    raised = float(found.group(1)) + 111 * (1.8 if found.group(2) == "°F" else 1)
    lines[place] = lines[place].replace(f"'{found.group(1)}'", f"'{raised:.3f}'")
    path.write_text("".join(lines), encoding="utf-8")


def number(text: str) -> float:
    """The number in `1538 °C`."""
    found = re.search(r"-?\d+(\.\d+)?", text)
    assert found
    return float(found.group())
