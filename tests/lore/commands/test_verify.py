"""verify: a revision is made anew from git alone; what is not the same to the bit is named, down to record, step and tensor."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from safetensors.numpy import save

from lore.comparison.first_difference import ORDER, Divergence, first
from lore.verification import certificate, rebuild
from lore.verification.outputs import Recorded
from lore.verification.rebuild import chosen, demand_libraries, in_order
from lore.versions.dvc_cache import md5
from lore.versions.version import Version, revision
from stages.core.project.errors import InputError, LockError
from tests.lore.knowledge import IDENTITY, RUN

pytestmark = pytest.mark.slow

Lore = Callable[..., str]

READ = """
import sys
from pathlib import Path
import pandas as pd
folder, out = map(Path, sys.argv[1:])
words = Path("data/words/list.txt").read_text().split()
files = sorted(folder.iterdir())
rows = [{"id": file.stem, "text": file.read_text(), "word": words[0]} for file in files]
out.mkdir(parents=True)
pd.DataFrame(rows).to_parquet(out / "records.parquet", index=False)
"""
FIT = """
import csv, json, os, random, sys
from pathlib import Path
import numpy as np
from safetensors.numpy import save_file
records, out, report, curve = map(Path, sys.argv[1:])
random.seed(7)
loss = [round(random.random(), 6) for _ in range(4)]
out.mkdir(parents=True)
save_file({"a": np.ones(3, "f4"), "b": np.array(loss, "f4")}, out / "adapter.safetensors")
report.parent.mkdir(exist_ok=True)
report.write_text(json.dumps({"train": {"loss": {"last": 1.0}}}))
with curve.open("w", newline="") as file:
    csv.writer(file).writerows([["step", "loss"], *([10 * step, 0.5 + 0 * value] for step, value in enumerate(loss))])
"""
PUT = 'import sys, pathlib; p = pathlib.Path(sys.argv[1]); p.mkdir(parents=True); (p / "seen").write_text("registered")'
PIPELINE = {
    "stages": {
        "read": {
            "cmd": "python read.py data/raw data/read",
            "deps": ["data/raw", "data/words", "read.py"],
            "outs": ["data/read"],
        },
        "fit": {
            "cmd": "python fit.py data/read models/fit metrics/fit.json metrics/fit.csv",
            "deps": ["data/read", "fit.py"],
            "outs": ["models/fit"],
            "metrics": [{"metrics/fit.json": {"cache": False}}],
            "plots": [{"metrics/fit.csv": {"cache": False}}],
        },
        "register": {
            "cmd": "python put.py models/register",
            "deps": ["models/fit", "put.py"],
            "outs": ["models/register"],
        },
    }
}


class Small:
    """A git and DVC project of three stages, with an input that neither git nor a stage has."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in (".dvc", "data/raw", "data/words"):
            (root / folder).mkdir(parents=True)
        (root / ".dvc/config").write_text("[core]\n    analytics = false\n")
        (root / ".dvc/.gitignore").write_text("/cache\n/tmp\n/config.local\n")
        (root / ".gitignore").write_text("/data/read\n/data/words\n/models/fit\n/models/register\n")
        (root / "data/words/list.txt").write_text("one two")
        for name in ("c", "a", "b"):
            (root / f"data/raw/{name}.txt").write_text(f"text of {name}")
        self.script("read", READ)
        self.script("fit", FIT)
        self.script("put", PUT)
        for name, document in (("params", {"run": RUN}), ("dvc", PIPELINE)):
            with (root / f"{name}.yaml").open("w") as stream:
                YAML(typ="safe").dump(document, stream)
        self.command("git", "init", "-q", "-b", "main")

    def script(self, name: str, code: str) -> None:
        (self.root / f"{name}.py").write_text(code)

    def command(self, *words: str) -> None:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        subprocess.run(
            words,
            cwd=self.root,
            env=os.environ | IDENTITY | {"PATH": path},
            capture_output=True,
            check=True,
        )

    def run(self) -> None:
        """Run the pipeline and commit what it made."""
        self.command(sys.executable, "-m", "dvc", "repro", "--force")
        self.commit()

    def commit(self) -> None:
        self.command("git", "add", "-A")
        self.command("git", "commit", "-qm", "version", "--allow-empty")

    def edit_lock(self, change: Callable[[Any], None]) -> None:
        """Change dvc.lock, and commit it."""
        path = self.root / "dvc.lock"
        document = YAML(typ="safe").load(path.read_text())
        change(document["stages"])
        with path.open("w") as stream:
            YAML(typ="safe").dump(document, stream)
        self.commit()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project after one run."""
    small = Small(tmp_path_factory.mktemp("verify") / "project")
    small.run()
    return small.root


@pytest.fixture
def small(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Small]:
    """A copy of it, which is the working directory. Nothing may be left beside it."""
    made = object.__new__(Small)
    made.root = tmp_path / "project"
    shutil.copytree(template, made.root)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.chdir(made.root)
    yield made
    assert list((tmp_path / "tmp").iterdir()) == []


def unstable(code: str, place: Path, planted: str) -> str:
    """A script that does one thing on its first run, in `place`, and another when it is run elsewhere."""
    return f"import os\nELSEWHERE = os.getcwd() != {str(place)!r}\n" + code.replace(
        *planted.split(" -> ")
    )


def said_once(said: str, *parts: str) -> None:
    for part in parts:
        assert re.search(rf"^ *{re.escape(part)}", said, re.MULTILINE), f"{part!r} not in\n{said}"


def test_a_revision_that_is_bit_exact(
    small: Small, lore: Lore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "DVC_SITE_CACHE_DIR",
        "DVC_GLOBAL_CONFIG_DIR",
        "MLFLOW_TRACKING_URI",
        "GIT_DIR",
        "PYTHONPATH",
    ):
        monkeypatch.setenv(name, str(tmp_path / "misleading"))
    monkeypatch.delenv("GIT_DIR")
    before = sorted(path for path in small.root.rglob("*") if ".git" not in path.parts)
    said = lore("verify", "--certificate", str(tmp_path / "one.json"))
    head = revision("HEAD")
    assert said.startswith(f"{head.label}: bit-exact\n! not rebuilt: register\n")
    said_once(
        said,
        "4 of 4 the same to the bit as in dvc.lock",
        f"read   data/read         {head.outs['data/read']}",
    )
    said_once(said, "CPython", "threads 1, isa avx2, device cpu")
    assert sorted(path for path in small.root.rglob("*") if ".git" not in path.parts) == before
    assert not (tmp_path / "misleading").exists()
    lore("verify", "--stage", "fit", "--certificate", str(tmp_path / "two.json"))
    one, two = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("one", "two"))
    assert one["certificate"] == two["certificate"]
    assert (one["certificate"]["verdict"], one["certificate"]["revision"]) == (
        "bit-exact",
        head.commit,
    )
    assert one["certificate"]["dvc.lock"] == md5((small.root / "dvc.lock").read_bytes())
    assert set(one["run"]) == {"started", "seconds"}
    assert "the same environment" in lore(
        "verify", "--stage", "read", "--against", str(tmp_path / "one.json")
    )


@pytest.mark.usefixtures("small")
def test_settings_of_the_user_stay_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "GIT_DIR",
        "DVC_ROOT",
        "LOREKEEP_MEMO",
        "MLFLOW_RUN_ID",
        "MLFLOW_TRACKING_URI",
        "PYTHONPATH",
        "PYTHONSAFEPATH",
        "PYTHONHASHSEED",
    ):
        monkeypatch.setenv(name, "theirs")
    monkeypatch.setenv("OWN", "kept")
    found = rebuild.Clone(tmp_path, tmp_path / "scratch").environment()
    assert "theirs" not in found.values()
    assert found["OWN"] == "kept"
    assert found["MLFLOW_TRACKING_URI"] == f"sqlite:///{tmp_path / 'scratch/mlflow.db'}"
    assert found["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)


@pytest.mark.usefixtures("small")
def test_register_runs_where_it_is_asked_for(lore: Lore, tmp_path: Path) -> None:
    said = lore("verify", "--register", "--keep", str(tmp_path / "kept"))
    assert "not rebuilt" not in said
    said_once(said, "5 of 5 the same")
    assert (tmp_path / "kept/models/register/seen").read_text() == "registered"
    assert lore("verify", "--keep", str(tmp_path / "kept"), code=1) == (
        f"InputError: {tmp_path / 'kept'}: there already; name a folder that does not exist, or is empty\n"
    )


def test_a_listing_that_is_not_sorted_is_named(small: Small, lore: Lore) -> None:
    planted = "sorted(folder.iterdir()) -> sorted(folder.iterdir(), reverse=ELSEWHERE)"
    small.script("read", unstable(READ, small.root, planted))
    small.run()
    said = lore("verify", "--stage", "read", code=3)
    assert said.splitlines()[0].endswith(": differs")
    said_once(
        said,
        "stage read, data/read/records.parquet",
        "record 0 (id a), column id",
        "recorded: a",
        "rebuilt: c",
    )
    said_once(said, ORDER)


def test_a_seed_left_out_is_named(small: Small, lore: Lore, tmp_path: Path) -> None:
    small.script(
        "fit", unstable(FIT, small.root, "random.seed(7) -> random.seed(8 if ELSEWHERE else 7)")
    )
    small.run()
    path = tmp_path / "certificate.json"
    said = lore("verify", "--certificate", str(path), code=3)
    said_once(
        said,
        "stage fit, models/fit/adapter.safetensors",
        "tensor b",
        "greatest absolute difference 0.",
    )
    assert "1 of 2 tensors differ" in said
    said_once(said, "3 of 4 the same", "read   data/read")
    certified = json.loads(path.read_text())["certificate"]
    assert (certified["verdict"], certified["differences"][0]["path"]) == (
        "differs",
        "models/fit/adapter.safetensors",
    )
    shutil.rmtree(small.root / ".dvc/cache")
    (small.root / "models/fit/adapter.safetensors").unlink()
    said = lore("verify", "--stage", "fit", code=3)
    said_once(
        said,
        "stage fit, models/fit",
        "the recorded file is not kept here (neither in DVC's cache nor in git), so only hashes",
    )


@pytest.mark.parametrize(
    ("planted", "path", "where", "was", "now"),
    [
        (
            '{"last": 1.0} -> {"last": 2.0 if ELSEWHERE else 1.0}',
            "metrics/fit.json",
            "train.loss.last",
            "1.0",
            "2.0",
        ),
        (
            "0 * value -> (step > 1) * ELSEWHERE",
            "metrics/fit.csv",
            "row 2 (step 20), column loss",
            "0.5",
            "1.5",
        ),
    ],
)
def test_a_metric_and_a_training_step_are_named(
    small: Small, lore: Lore, planted: str, path: str, where: str, was: str, now: str
) -> None:
    code = FIT.replace("np.ones(3", "np.ones(3) * (2 if ELSEWHERE else 1) + 0 * np.ones(3")
    small.script("fit", unstable(code, small.root, planted))
    small.run()
    said = lore("verify", code=3)
    greatest = "greatest absolute difference 1; 1 of 2 tensors differ"
    said_once(
        said,
        f"in the same stage also models/fit/adapter.safetensors: tensor a: 1.0 at [0] → 2.0 at [0]; {greatest}",
    )
    said_once(said, f"stage fit, {path}", where, f"recorded: {was}", f"rebuilt: {now}")


def test_files_too_many_are_named(small: Small, lore: Lore) -> None:
    more = 'out.mkdir(parents=True) -> out.mkdir(parents=True); [(out / f"{n}.txt").touch() for n in "az" if ELSEWHERE]'
    small.script("fit", unstable(FIT, small.root, more))
    small.run()
    said = lore("verify", code=3)
    said_once(
        said,
        "stage fit, models/fit/a.txt",
        "the whole file",
        "recorded: nothing",
        "rebuilt: a file",
    )
    said_once(said, "in the same output also: models/fit/z.txt")


def test_the_cache_here_is_not_used(small: Small, lore: Lore) -> None:
    """Its objects and run cache would let the old result pass for a new one."""
    small.script("fit", unstable(FIT, small.root, "np.ones(3 -> np.ones(4 if ELSEWHERE else 3"))
    small.run()
    said_once(lore("verify", code=3), "tensor a", "recorded: F32 [3]", "rebuilt: F32 [4]")


def test_an_earlier_revision_while_the_files_here_are_others(small: Small, lore: Lore) -> None:
    small.script("read", "raise SystemExit(1)")
    assert "bit-exact" in lore("verify", "HEAD", "--stage", "read")
    small.commit()
    said = lore("verify", "HEAD", "--stage", "read", code=1)
    assert re.fullmatch(
        r"InputError: dvc repro ended with exit code \d+ in the clone, so nothing can be compared; its output above says why, "
        r"and --keep DIR keeps the clone to look into\n",
        said,
    )
    assert "bit-exact" in lore("verify", "HEAD~1", "--stage", "read")


def test_a_project_in_a_folder_of_the_repository(
    small: Small, lore: Lore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    outer = tmp_path / "outer"
    shutil.copytree(small.root, outer / "inner", ignore=shutil.ignore_patterns(".git"))
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run(["git", *words], cwd=outer, env=os.environ | IDENTITY, check=True)
    (outer / "inner/.dvc/config").write_text("[core]\n    no_scm = false\n")
    monkeypatch.chdir(outer / "inner")
    assert "data/read" in [out["path"] for out in revision("HEAD").stages["read"]["outs"]]
    with rebuild.clone(revision("HEAD")) as clone:
        assert clone.root.name == "inner"
        assert (clone.root / "data/words/list.txt").read_text() == "one two"


def test_an_input_from_outside_comes_from_the_cache_or_not_at_all(small: Small, lore: Lore) -> None:
    words = small.root / "data/words"
    small.command(sys.executable, "-m", "dvc", "add", "data/words")
    (small.root / ".gitignore").write_text((small.root / ".gitignore").read_text() + "*.dvc\n")
    (words / "list.txt").unlink()
    (words / "list.txt").write_text("two one")
    assert "bit-exact" in lore("verify", "--stage", "read")
    shutil.rmtree(small.root / ".dvc/cache")
    said = lore("verify", "--stage", "read", code=1)
    assert said.startswith(
        "InputError: data/words: neither in git nor made by a stage, and not here with the hash "
    )
    assert "make setup fetches the word net, dvc pull what a remote holds" in said


@pytest.mark.parametrize("path", ["../beside", "/etc/hostname"])
def test_an_input_outside_the_project_is_refused(small: Small, lore: Lore, path: str) -> None:
    small.edit_lock(lambda stages: stages["read"]["deps"].append({"path": path, "md5": "0" * 32}))
    assert lore("verify", "--stage", "read", code=1) == (
        f"InputError: {path}: an input outside the project, which no clone has; put it into the project\n"
    )


def test_other_libraries_are_refused_before_anything_runs(small: Small, lore: Lore) -> None:
    (small.root / "requirements.lock").write_text("pandas==0.1\nnumpy\n")
    small.commit()
    short = revision("HEAD").short
    said = lore("verify", code=1)
    assert said.startswith(
        f"LockError: HEAD ({short}): the libraries installed here are not those of its requirements.lock, so a rebuild here "
        f"would prove nothing; git worktree add ../{short} {short}, run make there, then .venv/bin/lore verify there:\n  pandas: "
    )
    with pytest.raises(LockError, match=r"the lock file says 0\.1"):
        demand_libraries(revision("HEAD"))
    assert certificate.libraries(revision("HEAD"))["pandas"] == pd.__version__


def test_what_cannot_be_rebuilt_is_an_error(small: Small, lore: Lore) -> None:
    assert "InputError: dvc.lock of HEAD (" in lore("verify", "--stage", "fly", code=1)
    with pytest.raises(
        InputError,
        match=r"no stage fly; it has fit, read, register$|no stage fly; it has read, fit, register$",
    ):
        chosen(revision("HEAD"), "fly")
    small.command("git", "rm", "-q", "dvc.lock")
    small.commit()
    with pytest.raises(
        InputError,
        match=r"dvc.lock of HEAD \(\w+\): there is none, so there is nothing to compare with; dvc repro",
    ):
        chosen(revision("HEAD"), None)
    with (
        pytest.raises(
            InputError, match=r"^the revision cannot be cloned: .*; git fsck tells what is damaged$"
        ),
        rebuild.clone(Version("gone", "0" * 40)),
    ):
        pass


@pytest.mark.usefixtures("small")
def test_stages_run_in_the_order_of_their_needs() -> None:
    head = revision("HEAD")
    assert in_order(dict(reversed(head.stages.items()))) == ["read", "fit", "register"]
    assert chosen(head, None) == ["read", "fit"]
    assert chosen(head, None, register=True) == ["read", "fit", "register"]
    assert chosen(head, "register") == ["read", "fit", "register"]
    assert chosen(head, "read") == ["read"]


@pytest.fixture
def certified(small: Small, lore: Lore) -> Path:
    """A certificate of the first stage."""
    path = small.root.parent / "certificate.json"
    lore("verify", "--stage", "fit", "--certificate", str(path))
    return path


def test_a_certificate_is_checked_without_rebuilding(
    small: Small, certified: Path, lore: Lore
) -> None:
    said = lore("verify", "--check", str(certified))
    head = revision("HEAD").commit or ""
    assert said.splitlines() == [
        f"{certified}: bit-exact, by its own word, of {head[:12]}",
        "  revision, dvc.lock and every output's hash are those certified",
        "  4 files of its outputs are kept here, each with its hash",
        f"  This proves integrity only; that the revision can be made again is proved by lore verify {head}",
    ]
    shutil.rmtree(small.root / ".dvc/cache")
    shutil.rmtree(small.root / "data/read")
    assert (
        "  3 files of its outputs are kept here, each with its hash; of 1 outputs only the hash"
        in lore("verify", "--check", str(certified))
    )


@pytest.mark.usefixtures("small")
def test_a_certificate_that_was_tampered_with(certified: Path, lore: Lore) -> None:
    document = json.loads(certified.read_text())
    document["certificate"]["outputs"][0]["locked"] = "0" * 32
    document["certificate"]["dvc.lock"] = "1" * 32
    certified.write_text(json.dumps(document))
    said = lore("verify", "--check", str(certified), code=3)
    assert re.search(r"! dvc.lock of \w+ \(\w+\) is not the one that was certified", said)
    assert f"! data/read: {'0' * 32} in the certificate, " in said
    assert "! data/read: the certificate says bit-exact, but has two hashes: " in said
    document["certificate"]["revision"] = "nowhere"
    certified.write_text(json.dumps(document))
    assert "nowhere: no such revision" in lore("verify", "--check", str(certified), code=1)
    document["certificate"]["verdict"] = "bit-ezact"
    certified.write_text(json.dumps(document))
    assert "not a certificate of this Lorekeep" in lore("verify", "--check", str(certified), code=1)


def test_a_damaged_object_is_named(small: Small, certified: Path, lore: Lore) -> None:
    digest = revision("HEAD").outs["metrics/fit.json"]
    head = revision("HEAD")
    (single,) = Recorded(head, "models/fit", head.outs["models/fit"]).files().values()  # type: ignore[union-attr]
    place = head.cache.path(single)
    place.chmod(0o644)
    place.write_bytes(b"else")
    said = lore("verify", "--check", str(certified), code=3)
    assert "the cache's copy of models/fit/adapter.safetensors is corrupted" in said
    assert (
        Recorded(head, "metrics/fit.json", digest).read("", digest)
        == (small.root / "metrics/fit.json").read_bytes()
    )


@pytest.mark.usefixtures("small")
def test_a_folder_that_git_keeps_is_known() -> None:
    head = revision("HEAD")
    folder = Recorded(head, "data/raw", head.stages["read"]["deps"][0]["md5"])
    assert sorted(folder.files() or {}) == ["a.txt", "b.txt", "c.txt"]
    assert Recorded(head, "data/raw", "0" * 32 + ".dir").files() is None


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"certificate": {"form": 9}}', '{"certificate": {"form": 1}}']
)
def test_a_file_that_is_no_certificate(tmp_path: Path, content: str) -> None:
    path = tmp_path / "no.json"
    path.write_text(content)
    with pytest.raises(
        InputError,
        match=r"no.json: not a certificate of this Lorekeep; lore verify --certificate FILE",
    ):
        certificate.load(path)
    with pytest.raises(
        InputError, match=r"none.json: the certificate cannot be read: No such file or directory"
    ):
        certificate.load(tmp_path / "none.json")
    with pytest.raises(
        InputError, match=r"the certificate cannot be written: .*; name another file"
    ):
        certificate.write(path / "below", {}, {})


def test_what_differs_from_a_certificate_is_named() -> None:
    old = {
        "python": "CPython 3.11.1",
        "cpu": {"model": "A", "flags": ["avx2", "fma"]},
        "libraries": {"torch": "1", "peft": "2"},
    }
    new = {
        "python": "CPython 3.11.1",
        "cpu": {"model": "B", "flags": ["avx2", "sve"]},
        "libraries": {"torch": "3", "peft": "2"},
    }
    assert certificate.differences(old, new) == [
        "libraries: torch: 1 in the certificate, 3 here",
        "cpu: model: A in the certificate, B here",
        "cpu: fma in the certificate alone",
        "cpu: sve here alone",
    ]
    assert certificate.differences(old, old) == []


def test_the_cpu_is_read_as_linux_tells_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text("model name\t: A\nflags\t\t: fpu avx2 fma\n\nmodel name\t: B\nflags: none\n")
    monkeypatch.setattr(certificate, "CPUINFO", path)
    assert certificate.cpu() == {"model": "A", "flags": ["avx2", "fma"]}
    path.write_text("Features : asimd fp\n")
    assert certificate.cpu()["flags"] == ["asimd"]
    path.unlink()
    assert certificate.cpu()["flags"] == []


def parquet(rows: Any) -> bytes:
    content: bytes = pd.DataFrame(rows).to_parquet(index=False)
    return content


def tensors(**values: Any) -> bytes:
    return save({name: np.array(value, "f4") for name, value in values.items()})


def tensor(dtype: str, length: int, data: bytes) -> bytes:
    """A tensor of a type that numpy does not know."""
    head = json.dumps(
        {"a": {"dtype": dtype, "shape": [length], "data_offsets": [0, len(data)]}}
    ).encode()
    return len(head).to_bytes(8, "little") + head + data


def half(*values: float) -> bytes:
    """A tensor of bfloat16."""
    return tensor(
        "BF16", len(values), (np.array(values, "<f4").view("<u4") >> 16).astype("<u2").tobytes()
    )


SAME = ("the whole file", "the same content", "the same content", "written in other bytes")


ROWS = [{"id": "x", "n": 1}, {"id": "y", "n": 2}]


@pytest.mark.parametrize(
    ("name", "was", "now", "found"),
    [
        ("a.parquet", parquet(ROWS), parquet([ROWS[0], {"id": "y", "n": 3}]), ("record 1 (id y), column n", "2", "3", "")),
        ("a.parquet", parquet(ROWS), parquet(ROWS[:1]), ("record 1 (id)", "y", "nothing", "2 rows against 1")),
        ("a.parquet", parquet([{"n": 1}]), parquet([{"n": 1.0}]), ("column.n", "int64", "double", "")),
        ("a.parquet", parquet([{"n": 1}]), b"PAR1", ("byte 4", "", "", "")),
        ("a.json", b'{"a": [1, {"b": true}]}', b'{"a": [1, {"b": 1}]}', ("a[1].b", "true", "1", "")),
        ("a.json", b'{"a": null}', b"{}", ("a", "null", "nothing", "")),
        ("a.json", b"[1, 2]", b"[1]", ("[1]", "2", "nothing", "2 entries against 1")),
        ("a.json", b"[1, 2]", b"[2, 1]", ("[0]", "1", "2", ORDER)),
        ("a.json", b'{"a": 1}', b'{"a":1}', SAME),
        ("a.parquet", parquet(ROWS), pd.DataFrame(ROWS).to_parquet(index=False, compression="zstd"), SAME),
        ("a.safetensors", tensors(a=[1]), save({"a": np.ones(1, "f4")}, metadata={"by": "another"}), SAME),
        ("a.safetensors", tensor("F8_E4M3", 1, b"a"), tensor("F8_E4M3", 1, b"b"),
         ("tensor a", "F8_E4M3 [1]", "F8_E4M3 [1]", "other bytes; 1 of 1 tensors differ")),
        ("a.json", b"1", b"2", ("the whole file", "1", "2", "")),
        ("a.jsonl", b'{"a": 1}\n{"a": 2}', b'{"a": 1}\n{"a": 3}', ("line 2, a", "2", "3", "")),
        ("a.jsonl", b"1\n", b"1\n2\n", ("line 2", "", "2", "")),
        ("a.csv", b"step,loss\n10,1\n20,2\n", b"step,loss\n10,1\n20,3\n", ("row 1 (step 20), column loss", "2", "3", "")),
        ("a.csv", b"step,loss\n", b"step,lost\n", ("header", "step, loss", "step, lost", "")),
        ("a.csv", b"a,a\n1,2\n", b"a,a\n1,3\n", ("row 0 (a 1), column a (2)", "2", "3", "")),
        ("a.csv", b"a\n1\n", b"a\n1,9\n", ("row 0 (a 1), column 1", "nothing", "9", "")),
        ("a.safetensors", tensors(a=[1], b=[1, 2]), tensors(a=[1], b=[1, 4]),
         ("tensor b", "2.0 at [1]", "4.0 at [1]", "greatest absolute difference 2; 1 of 2 tensors differ")),
        ("a.safetensors", tensors(a=[1]), tensors(b=[1]), ("tensor a", "F32 [1]", "nothing", "2 of 2 tensors differ")),
        ("a.safetensors", tensors(a=[[np.nan, 1]]), tensors(a=[[1, 1]]),
         ("tensor a", "nan at [0, 0]", "1.0 at [0, 0]", "greatest absolute difference inf; 1 of 1 tensors differ")),
        ("a.safetensors", half(1, 2), half(1, 3),
         ("tensor a", "2.0 at [1]", "3.0 at [1]", "greatest absolute difference 1; 1 of 1 tensors differ")),
        ("a.txt", b"a\nb", b"a\nc", ("line 2", "b", "c", "")),
        ("a.bin", b"\xff\x00", b"\xff\x01", ("byte 1", "00", "01", "2 bytes against 2")),
        ("a", b"x" * 300, b"y", ("line 1", "x" * 200 + "…", "y", "")),
    ],
)  # fmt: skip
def test_the_first_difference(
    name: str, was: bytes, now: bytes, found: tuple[str, str, str, str]
) -> None:
    told = first(name, was, now)
    assert told is not None
    if found[0] == "byte 4":  # a Parquet file that was cut: no library reads it
        assert told.where.startswith(("byte", "line"))
    else:
        assert told == Divergence(*found)
    assert first(name, was, was) is None
    assert first(name, now, now) is None


values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=8,
)


def reached(value: Any, path: str) -> Any:
    """What stands at a key path."""
    for key, number in re.findall(r"\.?(\w+)|\[(\d+)\]", path):
        try:
            value = value[key] if key else value[int(number)]
        except (KeyError, IndexError):
            return "nothing"
    return value


@settings(deadline=None)
@given(values, values)
def test_the_key_path_leads_to_what_differs(was: Any, now: Any) -> None:
    found = first("a.json", json.dumps(was).encode(), json.dumps(now).encode())
    if json.dumps(was, sort_keys=True) == json.dumps(now, sort_keys=True):
        assert found is None or found.note == "written in other bytes"
        return
    assert found is not None
    path = "" if found.where == "the whole file" else found.where
    for side, told in ((was, found.was), (now, found.now)):
        there = reached(side, path)
        assert told == (" ".join(there.split()) if isinstance(there, str) else json.dumps(there))


rows_drawn = st.builds(
    lambda name, n: {"id": name, "n": n}, st.sampled_from("abc"), st.integers(0, 2)
)
tables = st.lists(rows_drawn, min_size=1, max_size=5)


@settings(deadline=None)
@given(tables, tables)
def test_the_record_named_is_the_first_that_differs(
    was: list[dict[str, Any]], now: list[dict[str, Any]]
) -> None:
    found = first("a.parquet", parquet(was), parquet(now))
    if was == now:
        assert found is None
        return
    assert found is not None
    number = int(found.where.split()[1])
    assert was[:number] == now[:number]
    assert was[number : number + 1] != now[number : number + 1]
    assert found.note.startswith("the same rows") == (
        sorted(map(str, was)) == sorted(map(str, now))
    )


@settings(deadline=None)
@given(
    st.lists(st.floats(width=32), min_size=1, max_size=6),
    st.lists(st.floats(width=32), min_size=1, max_size=6),
)
def test_the_greatest_difference_of_a_tensor(was: list[float], now: list[float]) -> None:
    length = min(len(was), len(now))
    a, b = np.array(was[:length], "f4"), np.array(now[:length], "f4")
    found = first("a.safetensors", save({"t": a}), save({"t": b}))
    if a.tobytes() == b.tobytes():
        assert found is None
    else:
        assert found is not None
        assert found.where == "tensor t"


@settings(deadline=None)
@given(
    st.binary(max_size=40),
    st.binary(max_size=40),
    st.sampled_from(["parquet", "json", "jsonl", "csv", "safetensors", "txt"]),
)
def test_no_content_is_too_broken_to_be_compared(was: bytes, now: bytes, ending: str) -> None:
    assert (first(f"a.{ending}", was, now) is None) == (was == now)
