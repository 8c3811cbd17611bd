"""purge: commands name exactly what contains the target, and nothing else."""

import json
import shutil
import subprocess
from pathlib import Path

from lore.erasure import purge
from lore.erasure.locations import CachedObject, Locations, ModelVersion, RawLocation
from lore.erasure.scan import ScanResult


def test_model_versions_to_delete_are_those_not_known_to_be_free_of_it() -> None:
    models = [
        ModelVersion("m", "1", ["HEAD"], True),
        ModelVersion("m", "2", ["v"], False),
        ModelVersion("m", "3", [], None),
    ]
    lines = list(purge.commands(Locations(models=models)))
    assert [line.count("delete_model_version") for line in lines] == [1, 1]
    assert lines[0].endswith("""MlflowClient().delete_model_version("m", "1")'""")
    assert lines[1].endswith("# of none of the versions searched: see whether it was trained on it")


def test_the_memo_remembers_what_was_read_from_sources() -> None:
    raw = [RawLocation("scans/page-1.png", "page 1, line 5", "a" * 16)]
    lines = list(purge.commands(Locations(raw=raw)))
    assert lines[0] == (
        "# data/raw/scans/page-1.png: delete page 1, line 5 at its origin and here, then: dvc repro"
    )
    assert lines[1].startswith("lore memo --prune 0")
    assert "--path data/raw/scans/page-1.png," in lines[3]


def test_each_run_is_deleted_once_and_models_are_no_run() -> None:
    names = ("mlruns/abc/artifacts/a.json", "mlruns/abc/artifacts/b.json", "mlruns/models/m/x")
    runs = {Path(name): ScanResult("text", 1, 1) for name in names}
    lines = list(purge.commands(Locations(runs=runs)))
    assert [line.partition(" && ")[0] for line in lines] == ["mlflow runs delete --run-id abc"]


def test_nothing_is_left_to_do_where_nothing_contains_it() -> None:
    assert list(purge.commands(Locations())) == []


def test_commands_of_hostile_names_run_nothing_else(tmp_path: Path) -> None:
    """A shell that runs the command gets the very names, and runs nothing that they say."""
    evil = "a\nb; touch 'pwned' $(touch pwned) \x1b[2J#\u202e.csv"
    found = Locations(
        raw=[RawLocation(evil, "line 1", "a" * 16)],
        objects=[CachedObject(Path(evil), ScanResult("text", 1, 1), [])],
        models=[ModelVersion(evil, "1", [], True)],
        runs={Path("mlruns") / "run; touch pwned" / "x": ScanResult("text", 1, 1)},
        git_files={evil: ScanResult("text", 1, 1), "-x": ScanResult("text", 1, 1)},
    )
    lines = list(purge.commands(found))
    assert not any(character in line for line in lines for character in "\n\x1b\u202e")
    shell = shutil.which("bash")
    assert shell
    for line in lines:
        command = line.removeprefix("# or ").partition(", which drops")[0]
        if line.startswith("#") and not line.startswith("# or git"):
            continue
        # The programs only print what they were given.
        fakes = 'for p in lore mlflow git dvc rm python; do eval "$p() { printf \'%s\\0\' $p \\"\\$@\\"; }"; done; '
        done = subprocess.run(
            [shell, "-c", fakes + command], cwd=tmp_path, capture_output=True, check=True
        )
        words = done.stdout.decode().split("\0")
        if words[0] == "rm":
            assert words[1] == evil
        if words[0] == "python":
            assert json.dumps(evil, ensure_ascii=False) in words[2]
        if "--invert-paths" in words:
            assert f"data/raw/{evil}" in words
            assert "--path=-x" in words
    assert list(tmp_path.iterdir()) == []
