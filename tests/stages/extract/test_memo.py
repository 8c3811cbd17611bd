"""extract with a memo: byte for byte what it gives without one, and only what changed is read again."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont
from ruamel.yaml import YAML

from stages import extract
from stages.core.models import checkpoint
from stages.core.project.errors import InputError
from stages.core.project.params import Run, parse
from stages.core.repeatable import fingerprint, memo
from stages.extract.engines import ocr, speech, whisper
from stages.extract.engines.line import Box, Line
from stages.extract.kinds import audio, pages, pdf
from stages.extract.unit import Unit

ROOT = Path(__file__).parents[3]
RUN = Run(seed=1, threads=1, isa="avx2", device="cpu")
LINE = r"(?P<s>\w+): (?P<v>.+)"
TEXTS = ["iron: 1538", "铁: 1538", "neon: -249\ncopper: 1085", "a title", "", "broken"]
EDITS = st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from([*TEXTS, None])), max_size=4)


def scans(**changed: Any) -> dict[str, Any]:
    common = {"kind": "pages", "name": "scans", "path": "scans/*.png", "lang": "en", "line": LINE}
    return common | {"map": {"subject": "s", "value": "v", "attribute": "line"}} | changed


def run(root: Path, out: Path, *sources: dict[str, Any]) -> dict[str, bytes]:
    problems: list[str] = []
    params = parse({"sources": list(sources)}, extract.Params, "extract", problems)
    assert params is not None, problems
    extract.run(params, RUN, root, out)
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """An engine that reads the text in a file's bytes; the files it read. What follows "broken" cannot be read."""
    return engine_of(monkeypatch)


def engine_of(patch: pytest.MonkeyPatch) -> list[Path]:
    asked: list[Path] = []

    def read(picture: Path, engine: str, lang: str) -> Iterator[tuple[str, Line]]:
        asked.append(picture)
        for number, text in enumerate(picture.read_text(encoding="utf-8").splitlines()):
            if text == "broken":
                raise InputError(
                    f"extract: {picture} cannot be read as a picture; mend or remove it"
                )
            yield (
                f"L{number}",
                Line(text, 0.9 if lang == "en" else 0.1, Box(0, number, 9, number + 1)),
            )

    patch.setattr(pages, "read_lines", read)
    return asked


@given(st.lists(EDITS, min_size=1, max_size=4))
@settings(deadline=None, max_examples=15)
def test_after_any_edits_the_memo_changes_no_byte(
    versions: list[list[tuple[str, str | None]]],
) -> None:
    with tempfile.TemporaryDirectory() as scratch, pytest.MonkeyPatch.context() as patch:
        asked, root = engine_of(patch), Path(scratch) / "raw"
        (root / "scans").mkdir(parents=True)
        (root / "scans/always.png").write_text("gold: 1064")
        (root / "more.csv").write_text("s,line,v\ngold,symbol,Au\n")
        table = {
            "kind": "csv",
            "name": "t",
            "path": "more.csv",
            "lang": "en",
            "encoding": "utf-8",
            "delimiter": ",",
        }
        both = (
            scans(),
            table | {"skip_lines": 0, "map": {"subject": "s", "attribute": "line", "value": "v"}},
        )
        seen: set[str] = set()
        for edits in versions:
            for name, text in edits:
                path = root / f"scans/{name}.png"
                if text is None:
                    path.unlink(missing_ok=True)
                else:
                    path.write_text(text, encoding="utf-8")
            patch.setenv("LOREKEEP_MEMO", f"{scratch}/memo")
            asked.clear()
            warm = run(root, Path(scratch) / "out", *both)
            found = [
                path.read_text(encoding="utf-8") for path in sorted((root / "scans").iterdir())
            ]
            assert len(asked) == len(set(found) - seen - {"broken"}) + found.count("broken")
            seen |= set(found) - {"broken"}
            patch.setenv("LOREKEEP_MEMO", f"{scratch}/{len(seen)}-{os.urandom(4).hex()}")
            assert run(root, Path(scratch) / "out", *both) == warm


def test_settings_that_the_engine_does_not_see_cost_no_reading(
    tmp_path: Path, engine: list[Path]
) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans/a.png").write_text("iron: 1538\nneon: -249")
    run(tmp_path, tmp_path / "out", scans())
    run(
        tmp_path,
        tmp_path / "out",
        scans(line="(?P<s>iron): (?P<v>.+)", name="other", min_confidence=0.5),
    )
    assert len(engine) == 1
    run(tmp_path, tmp_path / "out", scans(lang="zh"))
    assert len(engine) == 2


def test_changed_code_is_not_served(
    tmp_path: Path, engine: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans/a.png").write_text("iron: 1538")
    run(tmp_path, tmp_path / "out", scans())
    copied = tmp_path / "copied"
    shutil.copytree(ROOT / "stages", copied / "stages")
    monkeypatch.setattr(fingerprint, "ROOT", copied)
    fingerprint.sources.cache_clear()
    fingerprint.tables.cache_clear()
    run(tmp_path, tmp_path / "out", scans())
    assert len(engine) == 1  # the same code in another folder
    code = copied / "stages/extract/kinds/delimited.py"
    code.write_text(code.read_text() + "\n")
    run(tmp_path, tmp_path / "out", scans())
    assert len(engine) == 1  # code of another kind
    code = copied / "stages/extract/kinds/pages.py"
    code.write_text(code.read_text() + "\n")
    run(tmp_path, tmp_path / "out", scans())
    assert len(engine) == 2
    fingerprint.sources.cache_clear()
    fingerprint.tables.cache_clear()


def test_what_stands_before_a_fault_is_kept(tmp_path: Path, engine: list[Path]) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans/a.png").write_text("iron: 1538\nbroken")
    for _ in range(2):
        report = json.loads(run(tmp_path, tmp_path / "out", scans())["sources.json"])
        assert (report[0]["records"], report[0]["rejected"]) == (1, 1)
    assert len(engine) == 2


def test_the_summary_tells_what_was_done(
    tmp_path: Path,
    engine: list[Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "scans").mkdir()
    for name in "abc":
        (tmp_path / f"scans/{name}.png").write_text(f"{name}: 1")
    run(tmp_path, tmp_path / "out", scans())
    assert "last run" not in capsys.readouterr().out
    (tmp_path / "scans/a.png").write_text("a: 2")
    (tmp_path / "scans/b.png").unlink()
    (tmp_path / "scans/d.png").write_text("d: 1")
    monkeypatch.setattr(memo, "counts", type(memo.counts)())
    run(tmp_path, tmp_path / "out", scans())
    said = capsys.readouterr().out
    assert "extract: 2 files read by an engine, 1 remembered\n" in said
    assert "extract: changed 1, new 1, deleted 1, unchanged 1 since the last run here\n" in said


def paper(**changed: Any) -> dict[str, Any]:
    mapping = {"subject": "title", "text": "text", "meta": {"page": "page", "file": "file"}}
    return {
        "kind": "pdf",
        "name": "papers",
        "path": "*.pdf",
        "lang": "en",
        "map": mapping,
    } | changed


def talk(**changed: Any) -> dict[str, Any]:
    mapping = {"subject": "file", "text": "text"}
    return {
        "kind": "audio",
        "name": "talks",
        "path": "*.wav",
        "lang": "en",
        "map": mapping,
    } | changed


def units(shape: dict[str, Any], path: Path) -> list[Unit]:
    problems: list[str] = []
    params = parse({"sources": [shape]}, extract.Params, "extract", problems)
    assert params is not None, problems
    return list(params.sources[0].units(path))


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Pages of PDF files that were looked at; OCR reads two lines on each, one of them unsurely."""
    asked: list[int] = []
    read_page = pdf.read_page

    def read(document: Any, index: int, *settings: str) -> Any:
        asked.append(index)
        return read_page(document, index, *settings)

    def seen(image: Any, engine: str, lang: str) -> list[Line]:
        return [Line(f"iron {engine}", 0.9, Box(1, 1, 90, 20)), Line("铁", 0.5, Box(1, 40, 90, 60))]

    monkeypatch.setattr(pdf, "read_page", read)
    monkeypatch.setattr(pdf, "lines_in", seen)
    return asked


@pytest.fixture
def two_pages(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    page_of("x").save(tmp_path / "raw/a.pdf", save_all=True, append_images=[page_of("y")], title="")
    return tmp_path / "raw/a.pdf"


def test_a_pdf_is_read_once(two_pages: Path, looked_at: list[int]) -> None:
    first = units(paper(), two_pages)
    assert [(unit.get("text"), unit.reason) for unit in first[:2]] == [
        (None, "low_confidence"),
        ("iron rapidocr", ""),
    ]
    assert units(paper(), two_pages) == first
    sure = units(paper(min_confidence=0.4, name="other"), two_pages)
    assert [unit.get("text") for unit in sure[:2]] == ["iron rapidocr", "铁"]
    form = units(paper(line=r"(?P<s>iron) (?P<v>.+)", map={"subject": "s", "text": "v"}), two_pages)
    assert [unit.get("v") for unit in form] == ["rapidocr", None] * 2
    assert looked_at == [0, 1]


def test_a_pdf_is_read_again_after_a_change(
    two_pages: Path, looked_at: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = units(paper(), two_pages)
    assert units(paper(lang="zh"), two_pages) == before
    assert [unit.reason for unit in units(paper(engine="none"), two_pages)] == ["no_text_layer"] * 2
    assert looked_at == [0, 1] * 3
    two_pages.write_bytes(two_pages.read_bytes() + b"\n")
    assert units(paper(), two_pages) == before
    assert looked_at == [0, 1] * 4
    monkeypatch.setattr(pdf, "engine_version", lambda engine: f"{engine} of another version")
    assert units(paper(), two_pages) == before
    assert looked_at == [0, 1] * 5


def test_a_page_that_cannot_be_read_is_remembered_as_such(
    two_pages: Path, looked_at: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pypdfium2 import PdfiumError

    def fails(page: Any, gap: float) -> list[Line]:
        raise PdfiumError("Failed to load page.")

    monkeypatch.setattr(pdf, "layer", fails)
    once, twice = (units(paper(), two_pages) for _ in range(2))
    assert [unit.reason for unit in once] == ["unreadable"] * 2
    assert (twice, looked_at) == (once, [0, 1])


def test_a_renamed_pdf_has_its_new_name_and_is_not_read_again(
    two_pages: Path, looked_at: list[int]
) -> None:
    out, root = two_pages.parent.parent / "out", two_pages.parent
    before = run(root, out, paper())
    named = [unit.cells for unit in units(paper(), two_pages) if unit.cells]
    assert {(cells["title"], cells["file"]) for cells in named} == {("a", "a.pdf")}
    renamed = two_pages.rename(root / "b.pdf")
    warm = run(root, out, paper())
    assert [unit.cells for unit in units(paper(), renamed) if unit.cells] == [
        cells | {"title": "b", "file": "b.pdf"} for cells in named
    ]
    assert looked_at == [0, 1]
    assert warm["records.parquet"] != before["records.parquet"]
    shutil.rmtree(memo.folder())
    assert run(root, out, paper()) == warm
    assert looked_at == [0, 1, 0, 1]


@pytest.fixture
def recognised(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Engines that were made to hear a file; each says its name and the loudest sample, with a confidence of 0.6."""
    asked: list[str] = []

    def engine(name: str, model: str | None, revision: str | None, lang: str) -> speech.Recognise:
        asked.append(name)
        return lambda samples: [(0, len(samples), f"{name} {lang} {abs(samples).max()}", 0.6)]

    monkeypatch.setattr(speech, "engine", engine)
    monkeypatch.setattr(audio, "is_speech", lambda samples: [True] * (len(samples) // audio.FRAME))
    return asked


def checkpoint_in(folder: Path) -> Path:
    """A folder with the names of a checkpoint's files."""
    folder.mkdir()
    for name in ("model.safetensors", *whisper.CHECKPOINT.needed):
        (folder / name).write_bytes(b"one")
    return folder


def hum(path: Path, *, loud: float = 0.5, seconds: float = 1.0) -> Path:
    soundfile.write(path, numpy.sin(numpy.arange(round(seconds * 16_000)) * 0.1) * loud, 16_000)
    return path


def test_a_recording_is_heard_once(tmp_path: Path, recognised: list[str]) -> None:
    path = hum(tmp_path / "a.wav", seconds=40)
    first = units(talk(), path)
    assert [unit.position for unit in first] == ["t=0.0,30.0", "t=30.0,40.0"]
    assert units(talk(), path) == first
    assert [unit.reason for unit in units(talk(min_confidence=0.7), path)] == ["low_confidence"] * 2
    renamed = units(talk(), path.rename(tmp_path / "b.wav"))
    assert [unit.cells for unit in renamed] == [
        unit.cells and unit.cells | {"file": "b.wav"} for unit in first
    ]
    assert recognised == ["pocketsphinx"]


def test_silence_is_remembered_as_such(tmp_path: Path, recognised: list[str]) -> None:
    path = hum(tmp_path / "a.wav", seconds=0)
    assert (
        units(talk(), path)
        == units(talk(), path)
        == [Unit("", "", None, "no_speech", "no speech in 0.0 seconds")]
    )
    assert recognised == ["pocketsphinx"]


def test_a_recording_is_heard_again_after_a_change(
    tmp_path: Path, recognised: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, model = hum(tmp_path / "a.wav"), checkpoint_in(tmp_path / "model")
    whisper = {"engine": "whisper", "model": str(model)}

    def heard(**changed: str) -> str | None:
        (unit,) = units(talk(**changed), path)
        return unit.get("text")

    loud = heard()
    hum(path, loud=0.25)
    assert heard() != loud
    assert heard(**whisper) == "whisper en 8192"
    assert heard(**whisper, lang="zh") == "whisper zh 8192"
    assert recognised == ["pocketsphinx"] * 2 + ["whisper"] * 2
    (model / ".cache").mkdir()
    (model / ".cache/fetched.json").write_text("just now")  # as `hf download` leaves it
    assert heard(**whisper) == "whisper en 8192"
    assert recognised == ["pocketsphinx"] * 2 + ["whisper"] * 2
    (model / "model.safetensors").write_bytes(b"another")
    assert [heard(**whisper), heard(**whisper)] == ["whisper en 8192"] * 2
    assert recognised == ["pocketsphinx"] * 2 + ["whisper"] * 3
    monkeypatch.setattr(speech, "version", lambda library: "another")
    heard()
    assert recognised == ["pocketsphinx"] * 2 + ["whisper"] * 3 + ["pocketsphinx"]


def test_a_model_is_hashed_once_for_all_files(
    tmp_path: Path, recognised: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[Path] = []
    monkeypatch.setattr(checkpoint, "sha256_of", lambda folder: hashed.append(folder) or "0" * 64)
    checkpoint_in(tmp_path / "model")
    (tmp_path / "raw").mkdir()
    for number in range(3):
        hum(tmp_path / f"raw/{number}.wav", loud=0.2 + number / 10)
    run(tmp_path / "raw", tmp_path / "out", talk(engine="whisper", model=str(tmp_path / "model")))
    assert (recognised, hashed) == (["whisper"] * 3, [tmp_path / "model"])


def page_of(text: str) -> Image.Image:
    picture = Image.new("L", (400, 110), 255)
    ImageDraw.Draw(picture).text((30, 30), text, font=ImageFont.load_default(28), fill=0)
    return picture


def page(path: Path, text: str) -> None:
    page_of(text).save(path)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A DVC project of the stage extract alone, with two scanned pages."""
    for name in ("stages", "requirements.lock"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "raw/scans").mkdir(parents=True)
    page(tmp_path / "raw/scans/a.png", "Copper: 1085")
    page(tmp_path / "raw/scans/b.png", "Iron: 1538")
    run_section = {"seed": 1, "threads": 1, "isa": "avx2", "device": "cpu"}
    stage = {
        "cmd": "python -m stages extract raw out",
        "deps": ["raw"],
        "params": ["extract", "run"],
        "outs": ["out"],
    }
    documents = {
        "params": {"run": run_section, "extract": {"sources": [scans()]}},
        "dvc": {"stages": {"extract": stage}},
    }
    for name, document in documents.items():
        YAML(typ="safe").dump(document, tmp_path / f"{name}.yaml")
    (tmp_path / ".dvcignore").write_text((ROOT / ".dvcignore").read_text())
    return tmp_path


@pytest.mark.slow
def test_dvc_repro_gives_the_same_bytes(
    project: Path, folder_bytes: Callable[[Path], dict[str, bytes]]
) -> None:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("LOREKEEP_MEMO", "DVC_ROOT")
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"

    def dvc(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "dvc", *command], cwd=project, env=kept | {"PATH": path, "DVC_NO_ANALYTICS": "1"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    dvc("init", "--no-scm", "--quiet")
    assert "2 files read by an engine, 0 remembered" in dvc("repro")
    first, lock = folder_bytes(project / "out"), (project / "dvc.lock").read_bytes()
    said = dvc("repro", "--force")
    assert "0 files read by an engine, 2 remembered" in said
    assert "changed 0, new 0, deleted 0, unchanged 2 since the last run here" in said
    assert (folder_bytes(project / "out"), (project / "dvc.lock").read_bytes()) == (first, lock)
    page(project / "raw/scans/b.png", "Iron: 1539")
    assert "1 files read by an engine, 1 remembered" in dvc("repro")
    second, lock = folder_bytes(project / "out"), (project / "dvc.lock").read_bytes()
    assert second != first
    shutil.rmtree(project / ".memo")
    assert "2 files read by an engine, 0 remembered" in dvc("repro", "--force")
    assert (folder_bytes(project / "out"), (project / "dvc.lock").read_bytes()) == (second, lock)


LOADED = """
import importlib, json, sys
from importlib.metadata import packages_distributions
from pathlib import Path
from stages.core.repeatable import fingerprint
from stages.core.project.lock import canonical
module = importlib.import_module(sys.argv[1])
before = set(sys.modules)
read = list(getattr(module, sys.argv[2])(Path(sys.argv[3]), *json.loads(sys.argv[4])))
owners = packages_distributions()
names = {name.split(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names
found = {canonical(owner) for name in names for owner in owners.get(name, [])}
print(json.dumps([read, sorted(found), sorted(found - set(fingerprint.libraries(module.__name__)))]))
"""
OPTIONAL = {"attrs", "charset-normalizer", "colorama"}
"""Loaded by a library where they happen to be installed: for its classes, for sources in Fortran, and for colours in its log."""


@pytest.mark.slow
def test_all_that_is_loaded_to_read_a_page_is_in_its_key(tmp_path: Path) -> None:
    page(tmp_path / "a.png", "Iron: 1538")
    version = ocr.engine_version("rapidocr")
    (line,) = loaded(
        pages.recognise_picture,
        tmp_path / "a.png",
        ["rapidocr", "en"],
        version,
        {"rapidocr", "onnxruntime", "pillow"},
    )
    assert line[1] == "Iron: 1538"


@pytest.mark.slow
def test_all_that_is_loaded_to_read_a_pdf_is_in_its_key(tmp_path: Path) -> None:
    from matplotlib.backends.backend_pdf import PdfPages
    from matplotlib.figure import Figure

    with PdfPages(tmp_path / "a.pdf") as file:
        for printed in (True, False):
            figure = Figure(figsize=(4, 1.1))
            if printed:
                figure.text(0.1, 0.5, "Tin: 232")
            else:
                figure.figimage(numpy.asarray(page_of("Iron: 1538").convert("RGB")))
            file.savefig(figure)
    wanted = {"pypdfium2", "rapidocr", "onnxruntime", "pillow"}
    version = f"pypdfium2 {pdf.engine_version('rapidocr')}"
    settings = ["rapidocr", "en", pdf.WIDEST_GAP]
    title, *read = loaded(pdf.read_pages, tmp_path / "a.pdf", settings, version, wanted)
    assert title == ""
    assert [lines[0][0] for lines, _ in read] == ["Tin: 232", "Iron: 1538"]


def test_all_that_is_loaded_to_hear_a_recording_is_in_its_key(tmp_path: Path) -> None:
    at = (
        numpy.arange(32_000) / 16_000
    )  # two seconds of pulses, louder and softer four times a second, pass for a voice
    voice = sum(numpy.sin(2 * numpy.pi * 120 * tone * at) / tone for tone in range(1, 25)) * (
        1 + numpy.sin(8 * numpy.pi * at)
    )
    soundfile.write(tmp_path / "a.wav", voice / abs(voice).max() * 0.6, 16_000)
    settings, wanted = ["pocketsphinx", None, None, "en"], {"soundfile", "pocketsphinx", "numpy"}
    version = speech.engine_version("pocketsphinx", None, None)
    seconds, utterance = loaded(
        audio.recognise_recording, tmp_path / "a.wav", settings, version, wanted
    )
    assert (seconds, *utterance[:2]) == (2.0, 0.0, 2.0)


def loaded(
    function: Callable[..., Any], path: Path, settings: list[Any], version: str, wanted: set[str]
) -> list[Any]:
    """What a function reads in a process of its own; all it loads for that is in the key, `wanted` is among it."""
    command = [
        sys.executable,
        "-c",
        LOADED,
        function.__module__,
        function.__qualname__,
        str(path),
        json.dumps(settings),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    read, found, unseen = json.loads(done.stdout.splitlines()[-1])
    assert wanted <= set(found)
    assert all(f"{library} " in version for library in set(unseen) - OPTIONAL), unseen
    return list(read)
