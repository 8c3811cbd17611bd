"""pictures: pictures with captions → captions that fit their picture, statements about both, and embeddings.

In: the pictures of extract, the cleaned records. Out:

- `records.parquet`: the captions that fit their picture, with their score, and statements that tie a picture to
  facts about its subject. `augment` trains the statements.
- `rejected.parquet`: the captions that do not fit, with their score
- `embeddings.parquet`: a vector of length 1 for each kept picture, its caption, and each fact of its subject. Its
  `id` is that of the caption's record, or of the fact. A search index can be built from it.
- `sheet.html`: a contact sheet for a person to look at
- `manifest.json`: the model, and the number of dimensions
- `model/`: with `model: train`, the model itself
- `pictures.json`: counts and recall

The score of a pair is the cosine of its two vectors. A CLIP checkpoint makes them, or a small CLIP that is trained
here (`training.py`). Then some captions are held out, with all pictures that have them. On these, recall@k is
measured. The pairs that the model was trained with would score high whatever they say. So further models, each of
which saw only some of them, score the others (`folds`).

Without a model the outputs are empty, and nothing heavy is imported.

Refused: settings that do not fit, a model that cannot be loaded, no picture at all.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.core.project.errors import InputError, ParamsError
from stages.core.project.output import replacing, write_json
from stages.core.project.params import STRICT, Run
from stages.core.records import picture as picture_table
from stages.core.records import record
from stages.core.records.picture import PICTURE, Picture
from stages.core.repeatable.seeding import derive, rng_for
from stages.pictures import encoder as encoders
from stages.pictures import retrieval, sheet, statements, training
from stages.pictures.encoder import Encoder
from stages.pictures.training import Training

Row = dict[str, Any]
Array = npt.NDArray[np.float32]
TRAIN = "train"
FEWEST = 8
"""Fewest pairs with which a model is trained."""
NEAREST = 3
"""Captions that the sheet shows beside a picture."""
Share = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True, config=STRICT)
class Params:
    """The model, and what becomes of the pairs."""

    model: str | None = None
    """null: none, and the outputs are empty. `train`: a small CLIP, trained from the pairs. A folder with a CLIP
    or Chinese-CLIP checkpoint, or its name on the hub, such as openai/clip-vit-base-patch32. Of the hub it must
    have been fetched before (`hf download`)."""
    revision: str | None = None
    """Full commit hash (40 hex digits), for a name on the hub."""
    least_score: Annotated[float, Field(ge=-1, le=1)] = 0.2
    """Least cosine of picture and caption. A pair below it is set aside. Higher sets more aside. Each checkpoint
    has its own scale, which the contact sheet shows. A model trained here gives pairs that fit mostly 0.5 to
    0.95."""
    held_out: Share = 0.2
    """With `train`: share of the captions that are not trained, and on which recall is measured."""
    folds: Annotated[int, Field(ge=1, le=20)] = 2
    """With `train`: models that score the trained pairs, each those that it did not see. 1: none, and the model
    scores what it was trained with, which finds few wrong captions. Each takes as long as the model itself."""
    facts: Annotated[int, Field(ge=0)] = 1
    """Facts of the subject that are stated beside each picture, nearest first. 0: its caption alone."""
    shows: dict[str, str] = field(default_factory=lambda: dict(statements.SHOWS))
    """Sentence about what a picture shows, by language, with {picture} and {caption}."""
    tells: dict[str, str] = field(default_factory=lambda: dict(statements.TELLS))
    """Sentence about a fact, by language, with {subject}, {attribute} and {value}."""
    measured: Annotated[int, Field(ge=1, le=20_000)] = 1000
    """Most pairs, of those never trained, on which recall is measured. Each picture is compared with so many
    captions, so recall of more pairs is lower. Drawn by a hash."""
    shown: Annotated[int, Field(ge=0)] = 48
    """Most pictures in each part of the contact sheet."""
    training: Training = field(default_factory=Training)
    """How the small CLIP is trained, with `train`."""


class Pair(NamedTuple):
    """A picture and the record of its caption."""

    picture: Picture
    caption: Row


class Judged(NamedTuple):
    """What a model says about all pairs."""

    encoder: Encoder
    name: str
    """Name and hash of the checkpoint, or `train`."""
    pictures: Array
    """Vectors (N, D)."""
    texts: Array
    scores: Array
    """Cosine of each pair, by a model that did not see it where there is one (N)."""
    unseen: list[int]
    """Places of the pairs that the model was not trained with."""
    by_others: int = 0
    """How many of the trained pairs were scored by a model that did not see them."""


def run(params: Params, run: Run, extracted: Path, cleaned: Path, out: Path, metrics: Path) -> None:
    """Write the captions that fit, the statements and the embeddings."""
    refuse_settings(params)
    if params.model is None:
        write_nothing(cleaned, out, metrics)
        return
    records = record.read(cleaned / "records.parquet")
    pairs, counts = pairs_of(records, extracted)
    judged = judge(pairs, params, run)
    names = names_setting(extracted)
    with replacing(out) as folder:
        folder.mkdir()
        report = write(folder, pairs, judged, records, names, params, run)
    report = {"model": judged.name} | counts | report
    write_json(metrics, report)
    print_report(report, out)


def refuse_settings(params: Params) -> None:
    """Raise ParamsError with all settings that do not fit."""
    problems = statements.problems(statements.Sentences(params.shows, params.tells))
    if params.model == TRAIN:
        if params.revision is not None:
            problems.append("revision: a model that is trained here has none; remove it")
        problems += training.problems(params.training)
    elif params.model is not None:
        problems += encoders.CHECKPOINT.problems(params.model, params.revision)
    elif params.revision is not None:
        problems.append("revision: there is no model; name one, or remove it")
    if problems:
        listed = "\n".join(f"  pictures.{problem}" for problem in problems)
        raise ParamsError(f"params.yaml:\n{listed}")


def write_nothing(cleaned: Path, out: Path, metrics: Path) -> None:
    """Write empty outputs: no model is named."""
    kinds = pq.read_table(cleaned / "records.parquet", columns=["kind"])["kind"].to_pylist()
    unused = kinds.count(PICTURE)
    with replacing(out) as folder:
        folder.mkdir()
        record.write(folder / "records.parquet", [])
        record.write(folder / "rejected.parquet", [], record.REJECTED)
        write_embeddings(folder / "embeddings.parquet", [], np.zeros((0, 1), dtype=np.float32))
    write_json(metrics, {"model": None, "read": 0, "kept": 0, "rejected": 0, "unused": unused})
    print("pictures: no model (pictures.model is null), so no picture is used")
    if unused:
        print(f"          {unused:,} captions are not trained; name a model, or write `train`")


def pairs_of(records: Sequence[Row], extracted: Path) -> tuple[list[Pair], Row]:
    """Return the pictures whose caption clean kept, and counts. Raises InputError where there is none."""
    path = extracted / "pictures.parquet"
    if not path.is_file():
        raise InputError(
            "pictures: no source of extract has the kind `images`, so there is no picture; "
            "add one to extract.sources, or set pictures.model: null"
        )
    captions = {row["id"]: row for row in records if row["kind"] == PICTURE}
    pairs = []
    lost = 0
    for name, picture in picture_table.read(path):
        if name in captions:
            pairs.append(Pair(picture, captions[name]))
        else:
            lost += 1
    if len(pairs) < len(captions):
        raise InputError(
            f"pictures: {len(captions) - len(pairs)} captions of clean have no picture in {path}; "
            "run extract and clean again (dvc repro)"
        )
    if not pairs:
        raise InputError(
            f"pictures: none of {lost:,} pictures has a caption that clean kept; "
            "metrics/clean.json says what was set aside and why"
        )
    return pairs, {"pictures": len(pairs) + lost, "caption_set_aside_before": lost}


def names_setting(extracted: Path) -> record.Names:
    """Return how extract compared names: it says so in the entries of its sources."""
    entries = json.loads((extracted / "sources.json").read_text(encoding="utf-8"))
    is_exact = any(entry.get("names") == "exact" for entry in entries)
    return "exact" if is_exact else "fold"


def judge(pairs: list[Pair], params: Params, run: Run) -> Judged:
    """Load or train the model, and score all pairs."""
    pictures = [pair.picture for pair in pairs]
    captions = [pair.caption["text"] for pair in pairs]
    if params.model != TRAIN:
        assert params.model is not None
        folder = encoders.CHECKPOINT.folder_of(params.model, params.revision)
        name = encoders.CHECKPOINT.identity(params.model, params.revision)
        encoder = Encoder.load(folder, run.device)
        of_pictures, of_texts = encoder.pictures(pictures), encoder.texts(captions)
        scores = cosines(of_pictures, of_texts)
        return Judged(encoder, name, of_pictures, of_texts, scores, list(range(len(pairs))))

    unseen = held_out(captions, params.held_out, run.seed)
    seen = [place for place in range(len(pairs)) if place not in set(unseen)]
    if len(seen) < FEWEST:
        raise InputError(
            f"pictures: {len(seen)} pairs to train with, at least {FEWEST} are needed; "
            "add pictures, lower pictures.held_out, or name a checkpoint in pictures.model"
        )
    encoder = trained(pairs, seen, params, run, "model")
    of_pictures, of_texts = encoder.pictures(pictures), encoder.texts(captions)
    scores = cosines(of_pictures, of_texts)
    by_others = score_by_others(scores, pairs, seen, params, run)
    return Judged(encoder, TRAIN, of_pictures, of_texts, scores, unseen, by_others)


def trained(
    pairs: list[Pair], places: list[int], params: Params, run: Run, purpose: str
) -> Encoder:
    """Train a model with the pairs at these places."""
    pictures = [pairs[place].picture for place in places]
    captions = [pairs[place].caption["text"] for place in places]
    return training.trained(pictures, captions, params.training, run, purpose)


def held_out(captions: Sequence[str], share: float, seed: int) -> list[int]:
    """Return the places of pairs that are not trained. Equal captions are held out together, or not at all."""
    places = []
    for place, caption in enumerate(captions):
        if rng_for(seed, "pictures held out", record.fold(caption)).random() < share:
            places.append(place)
    return places


def score_by_others(
    scores: Array, pairs: list[Pair], seen: list[int], params: Params, run: Run
) -> int:
    """Replace the scores of trained pairs by those of models that did not see them, and return their number.

    A fold whose model would have fewer than FEWEST pairs keeps the scores as they are.
    """
    if params.folds == 1:
        return 0
    captions = {place: record.fold(pairs[place].caption["text"]) for place in seen}
    ordered = sorted(
        set(captions.values()), key=lambda text: (derive(run.seed, "pictures fold", text), text)
    )
    fold_of = {text: number % params.folds for number, text in enumerate(ordered)}
    scored = 0
    for fold in range(params.folds):
        others = [place for place in seen if fold_of[captions[place]] != fold]
        own = [place for place in seen if fold_of[captions[place]] == fold]
        if not own or len(others) < FEWEST:
            continue
        model = trained(pairs, others, params, run, f"fold {fold}")
        of_pictures = model.pictures([pairs[place].picture for place in own])
        of_texts = model.texts([pairs[place].caption["text"] for place in own])
        scores[own] = cosines(of_pictures, of_texts)
        scored += len(own)
    return scored


def cosines(pictures: Array, texts: Array) -> Array:
    """Return the cosine of each pair: float32 (N)."""
    return np.asarray((pictures * texts).sum(axis=1), dtype=np.float32)


def write(
    folder: Path,
    pairs: list[Pair],
    judged: Judged,
    records: Sequence[Row],
    names: record.Names,
    params: Params,
    run: Run,
) -> Row:
    """Write all outputs into a folder, and return the counts."""
    kept, rejected = [], []
    for place, pair in enumerate(pairs):
        score = round(float(judged.scores[place]), 4)
        meta = json.loads(pair.caption["meta"]) | {"score": score}
        row = pair.caption | {"meta": record.to_meta(meta)}
        if score >= params.least_score:
            kept.append((place, row))
        else:
            evidence = (
                f"score {score} is below {params.least_score}: the caption does not fit the picture"
            )
            rejected.append(
                row | {"phase": "pictures", "reason": "misaligned", "evidence": evidence}
            )

    by_subject = statements.facts_by_subject(records, names)
    known = facts_of(kept, by_subject, names)
    of_facts = judged.encoder.texts([fact["text"] for fact in known.values()])
    number_of = {name: number for number, name in enumerate(known)}
    sentences = statements.Sentences(params.shows, params.tells)
    missing: Counter[str] = Counter()
    tied: list[Row] = []
    beside: dict[int, list[str]] = {}
    without_facts = 0
    for place, row in kept:
        own = by_subject.get(record.compared_name(row["subject"] or "", names), [])
        vectors = of_facts[[number_of[fact["fact"]] for fact in own]] if own else of_facts[:0]
        facts = statements.nearest(judged.pictures[place], own, vectors, params.facts)
        without_facts += not facts
        picture = pairs[place].picture.path
        tied += statements.statements(row, picture, facts, sentences, row["meta"], missing)
        beside[place] = [fact["text"] for fact in facts]

    rows = [row for _, row in kept] + tied
    rows.sort(key=lambda row: (row["kind"], row["source"], row["locator"]))
    record.write(folder / "records.parquet", rows)
    record.write(folder / "rejected.parquet", rejected, record.REJECTED)
    places = [place for place, _ in kept]
    ids = [("picture", pairs[place].caption["id"]) for place in places]
    ids += [("caption", pairs[place].caption["id"]) for place in places]
    ids += [("fact", name) for name in known]
    vectors = np.concatenate(
        [judged.pictures[places], judged.texts[places], of_facts_or(of_facts, judged)]
    )
    write_embeddings(folder / "embeddings.parquet", ids, vectors)
    manifest = {
        "model": judged.name,
        "dimensions": int(judged.pictures.shape[1]),
        "vectors": len(ids),
    }
    write_json(folder / "manifest.json", manifest)
    if judged.name == TRAIN:
        training.save(judged.encoder, folder / "model")

    unseen = judged.unseen
    measured = drawn(pairs, unseen, params.measured, run.seed)
    captions = [pairs[place].caption["text"] for place in measured]
    report = {
        "read": len(pairs),
        "kept": len(kept),
        "rejected": len(rejected),
        "reasons": dict(Counter(row["reason"] for row in rejected)),
        "trained": len(pairs) - len(unseen) if judged.name == TRAIN else 0,
        "scored_by_others": judged.by_others,
        "scores": quantiles(judged.scores),
        "recall": retrieval.recall(judged.pictures[measured], judged.texts[measured], captions),
        "statements": len(tied),
        "pictures_without_facts": without_facts,
        "no_sentence": dict(sorted(missing.items())),
        "vectors": dict(Counter(kind for kind, _ in ids)),
    }
    (folder / "sheet.html").write_text(
        sheet_of(pairs, judged, measured, beside, report, params), encoding="utf-8"
    )
    return report


def facts_of(
    kept: list[tuple[int, Row]], by_subject: dict[str, list[Row]], names: record.Names
) -> dict[str, Row]:
    """Return the facts of the kept pictures' subjects by their id, sorted."""
    found = {}
    for _, row in kept:
        for fact in by_subject.get(record.compared_name(row["subject"] or "", names), []):
            found[fact["fact"]] = fact
    return dict(sorted(found.items()))


def of_facts_or(of_facts: Array, judged: Judged) -> Array:
    """Return the vectors of facts. Where there is none, they still have the model's dimensions."""
    return of_facts if len(of_facts) else judged.pictures[:0]


def quantiles(scores: Array) -> dict[str, float]:
    """Return the least, the middle and the greatest score, and that which one pair in twenty does not reach."""
    found = {}
    for name, share in (("least", 0.0), ("one_in_twenty", 0.05), ("median", 0.5), ("most", 1.0)):
        found[name] = round(float(np.quantile(scores, share)), 4)
    return found


def write_embeddings(path: Path, ids: Sequence[tuple[str, str]], vectors: Array) -> None:
    """Write vectors (N, D) with their kind and id: picture, caption or fact."""
    size = vectors.shape[1]
    values = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel(), pa.float32()), size)
    table = pa.table(
        {
            "id": pa.array([name for _, name in ids], pa.string()),
            "kind": pa.array([kind for kind, _ in ids], pa.string()),
            "vector": values,
        }
    )
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", version="2.6", data_page_version="1.0")


def drawn(pairs: list[Pair], places: list[int], number: int, seed: int) -> list[int]:
    """Return at most so many of the places, in an order that is drawn by a hash of each caption's id."""
    return sorted(places, key=lambda place: derive(seed, "shown", pairs[place].caption["id"]))[
        :number
    ]


def sheet_of(
    pairs: list[Pair],
    judged: Judged,
    measured: list[int],
    beside: dict[int, list[str]],
    report: Row,
    params: Params,
) -> str:
    """Return the contact sheet: pictures that were never trained, and pictures that were set aside."""
    captions = [pairs[place].caption["text"] for place in measured]
    order = retrieval.order(judged.pictures[measured] @ judged.texts[measured].T)
    never_trained = []
    for row, place in enumerate(measured[: params.shown]):
        # Equal captions count once, as in the recall.
        nearest = list(dict.fromkeys(captions[column] for column in order[row]))
        never_trained.append(
            entry_of(pairs[place], judged.scores[place], nearest, beside.get(place))
        )
    left_out = [place for place in range(len(pairs)) if place not in beside]
    left_out.sort(key=lambda place: float(judged.scores[place]))
    set_aside = [
        entry_of(pairs[place], judged.scores[place], [], None) for place in left_out[: params.shown]
    ]
    recall = report["recall"]
    of_pictures, of_texts = recall["picture_to_text"], recall["text_to_picture"]
    summary = [
        f"Model: {judged.name}. {report['read']:,} pairs, {report['kept']:,} kept, "
        f"{report['rejected']:,} set aside below {params.least_score}.",
        f"Recall on {recall['pairs']:,} pairs that were never trained: picture to text "
        f"@1 {of_pictures['at_1']}, @5 {of_pictures['at_5']}; "
        f"text to picture @1 {of_texts['at_1']}, @5 {of_texts['at_5']}.",
    ]
    parts = [
        ("Pictures that were never trained", never_trained),
        ("Set aside, lowest score first", set_aside),
    ]
    return sheet.page("Pictures and captions", summary, parts)


def entry_of(pair: Pair, score: float, nearest: list[str], facts: list[str] | None) -> sheet.Entry:
    """Return a picture for the sheet. `nearest`: all captions, the most like it first. Empty: not ranked."""
    caption = pair.caption["text"]
    place = nearest.index(caption) if caption in nearest else None
    return sheet.Entry(pair.picture, caption, float(score), place, nearest[:NEAREST], facts or [])


def print_report(report: Row, out: Path) -> None:
    """Print the counts and the recall."""
    print(
        f"pictures: read {report['read']:,} = kept {report['kept']:,} + rejected {report['rejected']:,} "
        f"(score of one pair in twenty below {report['scores']['one_in_twenty']})"
    )
    recall = report["recall"]
    for name, shares in (
        ("picture → text", recall["picture_to_text"]),
        ("text → picture", recall["text_to_picture"]),
    ):
        print(
            f"          {name}: recall@1 {shares['at_1']}, @5 {shares['at_5']} "
            f"of {recall['pairs']:,} pairs never trained"
        )
    print(
        f"          {report['statements']:,} statements, {report['pictures_without_facts']:,} pictures "
        "without a fact of their subject"
    )
    for lang, count in report["no_sentence"].items():
        print(
            f"          {count:,} captions in {lang!r} give no statement; add it to shows and tells"
        )
    print(f"          look at {out / 'sheet.html'}")
