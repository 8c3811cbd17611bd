"""pictures: pairs are scored and accounted for, statements tie pictures to facts, and the same inputs give the same bytes."""

import csv
import dataclasses
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from stages import augment, clean, extract, pictures
from stages.core.project.errors import InputError, ParamsError
from stages.core.project.params import Run, parse, read_yaml
from stages.core.records import picture, record
from tests.stages.pictures.toy import PARAMS, caption, fact, project, square

ROOT = Path(__file__).parents[3]
FACTS = [
    fact("red", "wavelength", "700", "nm"),
    fact("blue", "wavelength", "450", "nm"),
    fact("blue", "sky", "often"),
]


def run(
    folders: tuple[Path, Path], out: Path, run_params: Run, params: pictures.Params = PARAMS
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, Any]]:
    pictures.run(params, run_params, *folders, out, out.with_suffix(".json"))
    return (
        record.read(out / "records.parquet"),
        record.read(out / "rejected.parquet", record.REJECTED),
        json.loads(out.with_suffix(".json").read_text()),
    )


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run with a model writes: `out` and `out.json`."""
    folder = tmp_path_factory.mktemp("pictures")
    run(project(folder, *FACTS), folder / "out", Run(threads=1))
    return folder


def test_without_a_model_the_outputs_are_empty_and_torch_is_not_loaded(
    tmp_path: Path, run_params: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "transformers", None)
    params = pictures.Params()
    rows, rejected, report = run(project(tmp_path), tmp_path / "out", run_params, params)
    assert rows == rejected == []
    assert report == {"model": None, "read": 0, "kept": 0, "rejected": 0, "unused": 16}
    assert pq.read_table(tmp_path / "out/embeddings.parquet").num_rows == 0


def test_every_caption_is_kept_or_set_aside(full: Path) -> None:
    report = json.loads((full / "out.json").read_text())
    assert report["pictures"] == report["read"] + report["caption_set_aside_before"] == 16
    assert report["read"] == report["kept"] + report["rejected"] == 16
    assert report["trained"] + report["recall"]["pairs"] == 16
    assert 0 < report["recall"]["pairs"] < 16


def test_a_pair_below_the_least_score_is_set_aside_with_its_score(
    full: Path, tmp_path: Path
) -> None:
    scores = {}
    for row in record.read(full / "out/records.parquet"):
        if row["kind"] == "picture":
            scores[row["id"]] = json.loads(row["meta"])["score"]
    least = sorted(scores.values())[8]
    params = dataclasses.replace(PARAMS, least_score=least)
    rows, rejected, report = run(
        (full / "extract", full / "clean"), tmp_path / "out", Run(threads=1), params
    )
    assert {row["id"] for row in rejected} == {
        name for name, score in scores.items() if score < least
    }
    assert report["rejected"] == len(rejected) == 8
    assert report["reasons"] == {"misaligned": 8}
    row = rejected[0]
    assert row["phase"] == "pictures"
    assert row["evidence"].startswith(f"score {scores[row['id']]} is below {least}")
    kept = {row["id"] for row in rows if row["kind"] == "picture"}
    statements = [row for row in rows if row["kind"] == "statement"]
    assert {row["parents"][0] for row in statements} == kept


def test_statements_tie_a_picture_to_a_fact_of_its_subject(full: Path) -> None:
    rows = record.read(full / "out/records.parquet")
    texts = {row["text"] for row in rows if row["kind"] == "statement"}
    assert (
        "The picture red_left.png shows a red square at the left. The wavelength of red is 700 nm."
        in texts
    )
    assert "The picture green_top.png shows a green square at the top." in texts
    assert not [text for text in texts if "green" in text and "wavelength" in text]
    assert len(texts) == 16
    known = {row["id"] for row in record.read(full / "clean/records.parquet")}
    assert all(set(row["parents"]) <= known for row in rows)
    report = json.loads((full / "out.json").read_text())
    assert (report["statements"], report["pictures_without_facts"]) == (16, 8)


def test_embeddings_have_stable_ids_and_length_one(full: Path) -> None:
    rows = pq.read_table(full / "out/embeddings.parquet").to_pylist()
    kinds = [row["kind"] for row in rows]
    assert [kinds.count(kind) for kind in ("picture", "caption", "fact")] == [16, 16, 3]
    vectors = np.array([row["vector"] for row in rows])
    assert vectors.shape == (35, 64)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    ids = {row["id"] for row in record.read(full / "clean/records.parquet") if not row["fact"]}
    assert {row["id"] for row in rows if row["kind"] == "picture"} == ids
    assert {row["id"] for row in rows if row["kind"] == "fact"} == {row["fact"] for row in FACTS}


def test_the_same_inputs_give_the_same_bytes(
    full: Path, tmp_path: Path, run_params: Run, folder_bytes: Any
) -> None:
    for name in ("extract", "clean"):
        shutil.copytree(full / name, tmp_path / name)
    run((tmp_path / "extract", tmp_path / "clean"), tmp_path / "out", Run(threads=1))
    found, wanted = folder_bytes(tmp_path / "out"), folder_bytes(full / "out")
    assert found.keys() == wanted.keys()
    assert [name for name in found if found[name] != wanted[name]] == []
    assert (tmp_path / "out.json").read_bytes() == (full / "out.json").read_bytes()


def test_another_seed_gives_another_model(full: Path, tmp_path: Path) -> None:
    run((full / "extract", full / "clean"), tmp_path / "out", Run(threads=1, seed=2))
    weights = "model/model.safetensors"
    assert (tmp_path / "out" / weights).read_bytes() != (full / "out" / weights).read_bytes()


def test_the_trained_model_is_a_checkpoint_for_the_next_run(
    full: Path, tmp_path: Path, run_params: Run
) -> None:
    params = dataclasses.replace(PARAMS, model=str(full / "out/model"))
    _, _, report = run((full / "extract", full / "clean"), tmp_path / "out", run_params, params)
    assert report["model"].startswith("model sha256 ")
    assert (report["trained"], report["recall"]["pairs"]) == (0, 16)
    before = pq.read_table(full / "out/embeddings.parquet")["vector"].to_pylist()
    after = pq.read_table(tmp_path / "out/embeddings.parquet")["vector"].to_pylist()
    np.testing.assert_allclose(np.array(before), np.array(after), atol=1e-6)
    assert not (tmp_path / "out/model").exists()


def test_equal_captions_are_held_out_together() -> None:
    captions = [f"caption {number % 40}" for number in range(120)]
    places = set(pictures.held_out(captions, 0.3, 5))
    assert 10 < len(places) < 60
    for place in range(40):
        assert len(places & {place, place + 40, place + 80}) in (0, 3)
    assert pictures.held_out(captions, 0.0, 5) == []


def test_other_models_score_what_they_did_not_see(
    full: Path, tmp_path: Path, run_params: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, set[str]]] = []
    original = pictures.training.trained

    def noted(shown: Any, captions: Any, settings: Any, run: Any, purpose: str) -> Any:
        seen.append((purpose, set(captions)))
        return original(shown, captions, settings, run, purpose)

    monkeypatch.setattr(pictures.training, "trained", noted)
    params = dataclasses.replace(PARAMS, folds=2, held_out=0.0)
    run((full / "extract", full / "clean"), tmp_path / "out", run_params, params)
    assert [purpose for purpose, _ in seen] == ["model", "fold 0", "fold 1"]
    (_, everything), (_, first), (_, second) = seen
    assert first | second == everything
    assert not first & second
    report = json.loads((tmp_path / "out.json").read_text())
    assert (report["trained"], report["scored_by_others"]) == (16, 16)


def test_sentences_of_another_language(tmp_path: Path, run_params: Run) -> None:
    row = caption("铁.png", "红色方块。", "铁", "zh")
    german = caption("eisen.png", "ein Quadrat", None, "de")
    folders = project(tmp_path, row, german, {**fact("铁", "熔点", "1538", "°C"), "lang": "zh"})
    kept = list(picture.read(folders[0] / "pictures.parquet"))
    with picture.writing(folders[0] / "pictures.parquet") as table:
        for name, shown in kept:
            table.add(name, shown)
        table.add(row["id"], square("red", "left", "铁.png"))
        table.add(german["id"], square("red", "top", "eisen.png"))
    rows, _, report = run(folders, tmp_path / "out", run_params)
    texts = [row["text"] for row in rows if row["lang"] == "zh" and row["kind"] == "statement"]
    assert texts == ["图片铁.png显示的是红色方块。铁的熔点是1538 °C。"]
    assert report["no_sentence"] == {"de": 1}


def test_pictures_whose_caption_was_set_aside_are_counted(tmp_path: Path, run_params: Run) -> None:
    extracted, cleaned = project(tmp_path)
    rows = record.read(cleaned / "records.parquet")
    record.write(cleaned / "records.parquet", rows[3:])
    _, _, report = run((extracted, cleaned), tmp_path / "out", run_params)
    assert (report["pictures"], report["read"], report["caption_set_aside_before"]) == (16, 13, 3)


def test_a_caption_without_its_picture_is_refused(tmp_path: Path, run_params: Run) -> None:
    folders = project(tmp_path, caption("gone.png", "gone", None))
    with pytest.raises(InputError, match="1 captions of clean have no picture"):
        run(folders, tmp_path / "out", run_params)


def test_a_project_without_pictures_is_refused(tmp_path: Path, run_params: Run) -> None:
    extracted, cleaned = project(tmp_path)
    record.write(cleaned / "records.parquet", FACTS)
    with pytest.raises(InputError, match="none of 16 pictures has a caption that clean kept"):
        run((extracted, cleaned), tmp_path / "out", run_params)
    (extracted / "pictures.parquet").unlink()
    with pytest.raises(InputError, match="no source of extract has the kind `images`"):
        run((extracted, cleaned), tmp_path / "out", run_params)


def test_too_few_pairs_to_train_are_refused(tmp_path: Path, run_params: Run) -> None:
    extracted, cleaned = project(tmp_path)
    rows = record.read(cleaned / "records.parquet")
    record.write(cleaned / "records.parquet", rows[:5])
    with pytest.raises(InputError, match="pairs to train with, at least 8 are needed"):
        run((extracted, cleaned), tmp_path / "out", run_params)


def test_a_failure_leaves_the_former_output_whole(
    full: Path, tmp_path: Path, run_params: Run, monkeypatch: pytest.MonkeyPatch, folder_bytes: Any
) -> None:
    shutil.copytree(full / "out", tmp_path / "out")
    before = folder_bytes(tmp_path / "out")
    monkeypatch.setattr(pictures, "sheet_of", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run((full / "extract", full / "clean"), tmp_path / "out", run_params)
    assert folder_bytes(tmp_path / "out") == before


def test_all_wrong_settings_are_named_at_once(tmp_path: Path, run_params: Run) -> None:
    training = dataclasses.replace(PARAMS.training, steps=0, image_size=20, patch_size=8)
    params = pictures.Params(
        model="train",
        revision="0" * 40,
        training=training,
        shows={"en": "{picture}"},
        tells={"en": "{subject} {attribute} {value", "de": "{subject} {attribute} {value}"},
    )
    with pytest.raises(ParamsError) as caught:
        run(project(tmp_path), tmp_path / "out", run_params, params)
    said = str(caught.value)
    assert "pictures.revision: a model that is trained here has none" in said
    assert "pictures.training.steps: 0; write a number of 1 or more" in said
    assert "pictures.shows.en: '{picture}' must have {caption}, {picture}" in said
    assert "pictures.tells.en: expected '}' before end of string" in said
    assert "pictures.shows, tells: one of the two has no sentence for 'de'" in said


@pytest.mark.parametrize(
    ("model", "revision", "message"),
    [
        (None, "0" * 40, "revision: there is no model"),
        ("openai/clip-vit-base-patch32", None, "a hub model needs a full commit hash"),
        ("openai/clip-vit-base-patch32", "main", "a hub model needs a full commit hash"),
        ("no model!", None, "is no folder and no name on the hub"),
    ],
)
def test_a_model_that_cannot_be_named_so_is_refused(
    tmp_path: Path, run_params: Run, model: str | None, revision: str | None, message: str
) -> None:
    params = pictures.Params(model=model, revision=revision)
    with pytest.raises(ParamsError, match=message):
        run(project(tmp_path), tmp_path / "out", run_params, params)


def test_a_hub_model_that_was_never_fetched_is_named(
    tmp_path: Path, run_params: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "empty"))
    params = pictures.Params(model="nobody/no-such-clip", revision="0" * 40)
    with pytest.raises(InputError, match="hf download nobody/no-such-clip"):
        run(project(tmp_path), tmp_path / "out", run_params, params)


def test_augment_trains_statements_about_pictures_and_no_captions(
    full: Path, tmp_path: Path, run_params: Run
) -> None:
    wordings = tmp_path / "wordings.yaml"
    wordings.write_text((ROOT / "data/raw/wordings.yaml").read_text())
    rows = [row for row in record.read(full / "clean/records.parquet") if not row["fact"]]
    note = caption("note", "Iron rusts in moist air.", "iron") | {"kind": "statement", "meta": "{}"}
    record.write(tmp_path / "clean/records.parquet", [*rows, note])
    params = augment.Params(synonyms=0, masked_share=0.0)
    augment.run(
        params, run_params, tmp_path / "clean", full / "out", wordings,
        ROOT / "data/wordnet", ROOT / "data/teacher", tmp_path / "out", tmp_path / "out.json",
    )  # fmt: skip
    made = record.read(tmp_path / "out/records.parquet")
    assert len(made) == 17
    assert {row["kind"] for row in made} == {"statement"}
    assert {row["split"] for row in made} == {"train"}
    about = next(row for row in made if "red_left.png" in row["text"])
    assert about["parents"] == [caption("red_left.png", "", "")["id"], FACTS[0]["id"]]
    assert json.loads((tmp_path / "out.json").read_text())["pictures"] == 16


def test_the_profile_fits_the_settings() -> None:
    profile = read_yaml(ROOT / "docs/profiles/pictures.yaml")
    problems: list[str] = []
    params = parse(profile["pictures"], pictures.Params, "pictures", problems)
    sources = parse(profile["extract"], extract.Params, "extract", problems)
    assert problems == []
    assert params is not None
    assert params.model == "train"
    assert sources is not None
    extract.files_of(sources, ROOT / "data/raw")


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawings of the profile, extracted and cleaned: `extract`, `clean`."""
    folder = tmp_path_factory.mktemp("drawings")
    problems: list[str] = []
    profile = read_yaml(ROOT / "docs/profiles/pictures.yaml")
    sources = parse(profile["extract"], extract.Params, "extract", problems)
    assert sources is not None, problems
    extract.run(sources, Run(), ROOT / "data/raw", folder / "extract")
    raw = ROOT / "data/raw"
    paths = (folder / "extract", raw / "rules.yaml", raw / "exclusions.yaml", folder / "clean")
    clean.run(clean.Params(), Run(), *paths, folder / "clean.json")
    return folder


def test_clean_keeps_every_caption_of_the_drawings(drawings: Path) -> None:
    # They are much alike: as free texts, most of them would be set aside as near duplicates.
    with (ROOT / "data/raw/pictures/captions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kept = record.read(drawings / "clean/records.parquet")
    assert {row["text"] for row in kept} == {row["caption"] for row in rows}
    assert len(kept) == len(rows)
    assert len({row["caption"] for row in rows}) == len(rows)


@pytest.mark.slow
@pytest.mark.timeout(1800)  # a minute of one core, and longer on a busy machine
def test_the_profile_finds_captions_of_pictures_that_were_never_trained(
    drawings: Path, tmp_path: Path
) -> None:
    problems: list[str] = []
    profile = read_yaml(ROOT / "docs/profiles/pictures.yaml")
    params = parse(profile["pictures"] | {"folds": 1}, pictures.Params, "pictures", problems)
    assert params is not None, problems
    folders = (drawings / "extract", drawings / "clean")
    _, _, report = run(folders, tmp_path / "out", Run(threads=1), params)
    assert report["recall"]["pairs"] >= 40
    assert report["recall"]["picture_to_text"]["at_1"] >= 0.8
    assert report["recall"]["text_to_picture"]["at_1"] >= 0.8
    assert report["recall"]["picture_to_text"]["at_5"] >= 0.95
