"""purge: commands name exactly what contains the target, and nothing else."""

from pathlib import Path

from lore.erasure import purge
from lore.erasure.locations import Locations, ModelVersion, RawLocation
from lore.erasure.scan import ScanResult


def test_model_versions_to_delete_are_those_not_known_to_be_free_of_it() -> None:
    models = [
        ModelVersion("m", "1", ["HEAD"], True),
        ModelVersion("m", "2", ["v"], False),
        ModelVersion("m", "3", [], None),
    ]
    lines = list(purge.commands(Locations(models=models)))
    assert [line.count("delete_model_version") for line in lines] == [1, 1]
    assert "('m', '1')" in lines[0]
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
