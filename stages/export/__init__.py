"""export: the model in the formats of other runtimes, each checked against the float model that it came from.

In: base, adapter of align, student of distill; the validation questions of augment. Out: one folder per format,
`manifest.json` with the hash of every file, and `answers.parquet`; metrics `export.json`. Without a format
(`export.formats: []`) there is the manifest alone.

- `onnx`, `onnx_int8`: ONNX with a key-value cache, for onnxruntime and onnxruntime-genai (`onnx_model.py`).
- `gguf_f32`, `gguf_f16`, `gguf_q8_0`: GGUF, for llama.cpp (`gguf_model.py`).
- `pte`, `pte_8da8w`: a program for ExecuTorch, for phones (`executorch_model.py`).
- `split`: feature extractor and decision layer, each a file of its own, for two devices or processes
  (`split_model.py`, `decision.py`, `serve_decision.py`).

Every export is asked the same questions as its float twin, one at a time, with greedy decoding. The answers are
compared question by question.

- `same_text`: the export's answer is the twin's, letter by letter.
- `lost`: the twin was right and the export is not. `gained`: the other way round.
- An answer is right where it is the record's answer. White space does not count.

Refused, all at once and before anything is loaded: a format whose library is missing, an architecture that a
format cannot hold, a variant that is not there. Where an export lost more than the share `most_lost` of the
questions, the stage stops, and the former output stays.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.core.mlflow import tracking
from stages.core.models import variants
from stages.core.models.causal_lm import load_causal_lm
from stages.core.models.model_folder import save_causal_lm
from stages.core.project.errors import ModelError, ParamsError
from stages.core.project.output import replacing, write_json
from stages.core.project.params import STRICT, Run
from stages.core.repeatable.seeding import seed_torch
from stages.export import checking, executorch_model, gguf_model, onnx_model, split_model
from stages.export.checking import Answers, Decoder
from stages.export.files import hashes, size_of

Format = Literal[
    "onnx", "onnx_int8", "gguf_f32", "gguf_f16", "gguf_q8_0", "pte", "pte_8da8w", "split"
]
MANIFEST = "manifest.json"
ANSWERS = "answers.parquet"
FLOAT = "float"
"""Name of the float twin in `answers.parquet`."""
COLUMNS = ("format", "fact", "question", "expected", "answer", "right")


@dataclass(frozen=True, config=STRICT)
class Params:
    """What is exported, and what the check demands."""

    formats: list[Format] = field(default_factory=list)
    """Formats to write: onnx, onnx_int8, gguf_f32, gguf_f16, gguf_q8_0, pte, pte_8da8w, split. ONNX needs the extra
    `export`, and ExecuTorch (pte) the extra `executorch`. []: the stage writes an empty output."""
    variant: Literal["distill", "train"] = "distill"
    """The model that is exported: distill (the student), or train (the tuned model with its adapter merged; the
    aligned one where `align` made one)."""
    questions: Annotated[int, Field(ge=1)] = 400
    """Most validation questions that each export and its float twin are asked."""
    most_lost: Annotated[float, Field(ge=0, le=1)] = 0.02
    """Largest share of the questions that the float twin answers right and an export does not. More stops the
    stage."""


def run(
    params: Params,
    run: Run,
    base: Path,
    align: Path,
    distill: Path,
    augment: Path,
    out: Path,
    metrics: Path,
) -> None:
    """Write and check every format that `params` asks for.

    Raises ParamsError where a format or the variant cannot be, ModelError where an export lost too much.
    """
    if not params.formats:
        with replacing(out) as folder:
            folder.mkdir()
            write_json(folder / MANIFEST, {"formats": []})
        write_json(metrics, {"questions": 0})
        print("export: left out, because export.formats is empty")
        return

    refuse(params, base, distill)
    seed_torch(run.seed, run.threads)
    model, tokenizer = load_causal_lm(**source(params.variant, base, align, distill))
    limit = model.config.get_text_config().max_position_embeddings
    if any(name in executorch_model.TYPES for name in params.formats):
        limit = min(limit, executorch_model.CONTEXT)
    asked = checking.questions(augment, tokenizer, params.questions, run.seed, limit)
    twin = checking.answers(checking.TorchDecoder(model), asked, model, tokenizer, FLOAT)
    judged = checking.rows(FLOAT, asked, twin.texts)
    float_bytes = model.num_parameters() * 4
    scores: dict[str, Any] = {}
    speeds = {FLOAT: twin}
    with replacing(out) as folder, tempfile.TemporaryDirectory() as merged:
        folder.mkdir()
        save_causal_lm(model, tokenizer, Path(merged))
        for name in dict.fromkeys(params.formats):
            target = folder / name
            make(name, Path(merged), target)
            with decoder(name, target, run.threads) as answerer:
                answers = checking.answers(answerer, asked, model, tokenizer, name)
            size = size_of(target)
            scores[name] = {
                "bytes": size,
                "share": round(size / float_bytes, 4),
                **checking.compared(asked, twin.texts, answers.texts),
            }
            speeds[name] = answers
            judged += checking.rows(name, asked, answers.texts)
        refuse_losses(params.most_lost, scores, len(asked.chosen))
        frame = pd.DataFrame(judged, columns=list(COLUMNS))
        frame.to_parquet(folder / ANSWERS, index=False, compression="zstd")
        files = {name: hashes(folder / name) for name in scores}
        manifest = {"variant": params.variant, "formats": list(scores), "files": files}
        write_json(folder / MANIFEST, manifest)
    report = {
        "questions": len(asked.chosen),
        "too_long": asked.too_long,
        "right_float": sum(row["right"] for row in judged if row["format"] == FLOAT),
        "bytes_float": float_bytes,
        "formats": scores,
    }
    write_json(metrics, report)
    note_speeds(params, speeds)
    show(params.variant, report, speeds)


def refuse(params: Params, base: Path, distill: Path) -> None:
    """Raise ParamsError with every reason why `params` cannot be met."""
    problems = []
    left_out = params.variant == "distill" and variants.is_left_out(distill)
    if left_out:
        problems.append(
            "export.variant: there is no student, since distill.layers is null; write train"
        )
    folder = base / "model" if params.variant == "train" or left_out else distill
    for name in dict.fromkeys(params.formats):
        for problem in problems_of(name, folder):
            problems.append(f"export.formats: {name}: {problem}")
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems)
        raise ParamsError(f"params.yaml:\n{listed}")


def problems_of(name: str, folder: Path) -> list[str]:
    """Return why a format cannot be made of the model in a folder."""
    if name in onnx_model.PRECISIONS:
        return onnx_model.problems(folder)
    if name in gguf_model.TYPES:
        return gguf_model.problems(folder)
    if name in executorch_model.TYPES:
        return executorch_model.problems(folder)
    return []  # split: what it cannot hold shows in its check


def source(variant: str, base: Path, align: Path, distill: Path) -> dict[str, Any]:
    """Return what `load_causal_lm` takes for the model that is exported."""
    if variant == "distill":
        return {"folder": distill}
    # The adapter of align is that of train where alignment was left out.
    return {"folder": base / "model", "adapter": align / "adapter", "merge": True}


def make(name: str, merged: Path, target: Path) -> None:
    """Write one format of the float model in the folder `merged`."""
    if name in onnx_model.PRECISIONS:
        onnx_model.make(merged, target, onnx_model.PRECISIONS[name])
    elif name in gguf_model.TYPES:
        gguf_model.make(merged, target, gguf_model.TYPES[name])
    elif name in executorch_model.TYPES:
        executorch_model.make(merged, target, name)
    else:
        split_model.make(merged, target)


@contextmanager
def decoder(name: str, folder: Path, threads: int) -> Iterator[Decoder]:
    """Yield a runtime with an exported model."""
    if name in onnx_model.PRECISIONS:
        yield onnx_model.OnnxDecoder(folder, threads)
    elif name in gguf_model.TYPES:
        yield checking.TorchDecoder(gguf_model.read(folder))
    elif name in executorch_model.TYPES:
        yield executorch_model.PteDecoder(folder)
    else:
        with split_model.decision_process(folder, threads) as decision:
            yield split_model.SplitDecoder(folder, decision)


def refuse_losses(most_lost: float, scores: dict[str, Any], asked: int) -> None:
    """Raise ModelError where an export lost more than a share of the questions."""
    problems = []
    for name, score in scores.items():
        if score["lost"] > most_lost * asked:
            problems.append(f"  {name}: {score['lost']} of {asked} lost, {score['gained']} gained")
    if problems:
        listed = "\n".join(problems)
        raise ModelError(
            f"export: right in the float model and not in the export, more than export.most_lost ({most_lost}):\n"
            f"{listed}\nTake the format out of export.formats, or raise export.most_lost"
        )


def note_speeds(params: Params, speeds: dict[str, Answers]) -> None:
    """Send tokens per second and milliseconds to the first token to MLflow. They are in no hashed output."""
    with tracking.run("export", params) as log:
        for name, answers in speeds.items():
            log.metric(f"{name}.tokens_per_second", tokens_per_second(answers))
            log.metric(f"{name}.first_token_ms", first_token_ms(answers))


def tokens_per_second(answers: Answers) -> float:
    """Return the tokens per second, one question at a time, reading the prompt included."""
    return answers.tokens / answers.seconds


def first_token_ms(answers: Answers) -> float:
    """Return the median milliseconds from a prompt to the first token."""
    return 1000 * median(answers.first_token_seconds)


def show(variant: str, report: dict[str, Any], speeds: dict[str, Answers]) -> None:
    """Print one line per format."""
    asked = report["questions"]
    print(f"export: {variant}, checked with {asked:,} validation questions, one at a time")
    for name, answers in speeds.items():
        speed = f"{tokens_per_second(answers):,.0f} tokens/s, first token {first_token_ms(answers):.1f} ms"
        if name == FLOAT:
            size, right = report["bytes_float"], report["right_float"]
            print(f"        {name:<10} {size:>13,} bytes; {right:,} right; {speed}")
            continue
        score = report["formats"][name]
        print(
            f"        {name:<10} {score['bytes']:>13,} bytes; {score['right']:,} right, {score['lost']} lost, "
            f"{score['gained']} gained, {score['same_text']:,} same texts; {speed}"
        )
    if report["too_long"]:
        print(f"        {report['too_long']:,} questions left out: too long for the model")
    if any(name in gguf_model.TYPES for name in speeds):
        print(
            "        GGUF was read back and run by transformers: its speed is not that of llama.cpp"
        )
