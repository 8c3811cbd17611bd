"""base: find the base model, read what it says about itself, and pin it by hash.

In: the seed folder (`model/`, `replay.jsonl`, `echoes.jsonl`, `skill.jsonl`) and the folder of general
material (`questions.jsonl`, `prompts.jsonl`, `neutral.jsonl`). Params may name another model and other
material. Out:

- `model/`: config, safetensors, tokenizer with its chat template
- `replay.jsonl`: texts for replay. Of the seed: texts that it was taught, and its answers about names
  unknown to it. Of another base: what it writes to prompts. Of both: what it writes from nothing
- `skill.jsonl`: questions that measure how much of the base's knowledge is kept
- `neutral.jsonl`: prose for perplexity. Empty for the seed, which knows invented facts alone
- `manifest.json`: source, revision, SHA-256, and the facts of `description.describe`

Refused: a hub repository without a pinned revision (a full commit hash), weights that are not
safetensors, a model whose code would have to be downloaded, a folder without tokenizer, a path that
dvc.yaml does not list, and all that `description` checks. A GGUF file is converted.

A base whose weights are small, or that writes its own replay, is loaded and asked a question. So the
stage proves that it speaks. Of a larger one with a replay file of its own, only the headers are read.
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.base import description, gguf, material, own_texts
from stages.base.files import left_out, take_model
from stages.base.sources import check_listed, locate
from stages.core.models.causal_lm import generate, load_causal_lm
from stages.core.models.conversation import first_answer, load_tokenizer, prompt_text
from stages.core.models.model_folder import sha256_of_folder
from stages.core.project.errors import InputError, ModelError, in_words
from stages.core.project.output import replacing, write_json
from stages.core.project.params import STRICT, Run
from stages.core.repeatable.seeding import derive, seed_torch

PROVEN_BYTES = 4 * 10**9
"""Weights up to this size are loaded to see whether the model speaks."""
PROOF_TOKENS = 16
"""Tokens of the answer that proves it."""


@dataclass(frozen=True, config=STRICT)
class Replay:
    """The texts that a base writes for its own replay."""

    texts: int = Field(default=200, ge=0)
    """How many to write to prompts: answers and continuations. More keep more of what the base knows. The
    seed writes none of these, since it brings texts that it was taught. 0: none."""
    max_new_tokens: int = Field(default=64, ge=1)
    """Longest text in tokens. A longer answer or continuation is cut behind its last whole sentence."""
    from_nothing: int = Field(default=3072, ge=0)
    """How many to write from nothing, beside those. They show knowledge that no prompt asks for. A base
    that knows general English and Chinese needs thousands to show it. 0: none."""


@dataclass(frozen=True, config=STRICT)
class Params:
    """Which base model."""

    source: Literal["embedded", "folder", "hub"] = "embedded"
    """Model to start from. `embedded`: the seed model in `models/seed`, which knows English and nothing of
    the domain. `folder`: a local model folder. `hub`: a hub repository at a pinned revision."""
    folder: str | None = None
    """Path of the model folder, for `folder`, such as `../deepseek-llm-7b-base`, or of a GGUF file. It must
    stand below `deps` of the stage in dvc.yaml, where `lore check --fix` writes it."""
    repository: str | None = None
    """Name on the hub, for `hub`, such as `deepseek-ai/deepseek-llm-7b-base`."""
    revision: str | None = None
    """Full commit hash (40 hex digits) of the repository, for `hub`. A branch or tag is refused, because
    it may move."""
    general_file: str | None = None
    """Questions that measure what a base other than the seed knows, as JSON Lines: `{"question", "answer"}`
    and perhaps `"accepted"`, a list of further right answers. null: those in `models/general`."""
    neutral_file: str | None = None
    """Texts for the perplexity of such a base, as JSON Lines: `{"text"}`. null: those in `models/general`."""
    replay: Replay = dataclasses.field(default_factory=Replay)
    """The texts that the base writes for replay."""
    replay_file: str | None = None
    """Texts of such a base for replay instead of those to prompts, as JSON Lines: `{"text"}` or
    `{"question", "answer"}`. null: the base writes its own."""


def run(params: Params, run: Run, seed: Path, general: Path, out: Path) -> None:
    """Put the base model and its texts into `out`."""
    check_listed(dataclasses.asdict(params))
    source = locate(params, seed)
    seed_torch(run.seed, run.threads)
    with replacing(out) as folder:
        model_folder = folder / "model"
        how = put_model(source, model_folder, from_hub=params.source == "hub")
        skeleton = description.skeleton(model_folder)
        tokenizer = load_tokenizer(model_folder)
        description.check_tokenizer(model_folder, skeleton, tokenizer)
        mended = description.mend_generation(model_folder, skeleton, tokenizer)
        facts = description.describe(model_folder, skeleton, tokenizer)
        if params.source == "embedded":
            counts, speaks = material_of_seed(params.replay, run, seed, folder, facts)
        else:
            counts, speaks = material_of_base(params, run, general, folder, facts)
        manifest = {
            **pin(params, model_folder),
            **facts,
            "mended": mended,
            "loaded": bool(speaks),
            "material": counts,
        }
        write_json(folder / "manifest.json", manifest)
    for line in summary(manifest, how, speaks):
        print(line)


def put_model(source: Path, target: Path, from_hub: bool) -> str:
    """Put config, tokenizer and safetensors into `target`. Returns in words how the weights got there.

    Raises ModelError where the source has no weights that can be used.
    """
    converted = gguf.gguf_file(source)
    if converted is not None:
        gguf.convert(converted, target)
        return f"converted from {converted.name}"
    ways = take_model(source, target, linkable=from_hub)
    how = ", ".join(f"{count} {way}" for way, count in sorted(ways.items()))
    others = left_out(source)
    if others:
        how += f"; not taken: {', '.join(others)}"
    return how


def is_small(facts: dict[str, Any]) -> bool:
    """Whether a model's weights are loaded only to see whether it speaks."""
    return bool(facts["bytes"] <= PROVEN_BYTES)


def dtype_of(facts: dict[str, Any], run: Run) -> str:
    """Return the type to load a model in: float32 on a CPU, which is exact there, else that of the files."""
    stored = str(facts["dtype"]).split(", ")[0]
    return "float32" if run.device == "cpu" or stored == "float64" else stored


def spoken(model: Any, tokenizer: Any, model_folder: Path) -> str:
    """Ask a loaded model a question. Returns question and answer. Raises ModelError for NaN and infinity."""
    import torch

    prompt = prompt_text(tokenizer, description.QUESTION)
    inputs = tokenizer(prompt, return_tensors="pt", add_special_tokens=False).to(model.device)
    with torch.inference_mode():
        logits = model(input_ids=inputs["input_ids"]).logits
    if not torch.isfinite(logits).all():
        raise ModelError(
            f"base: {model_folder}: the model gives no finite numbers; its weights are damaged, or not "
            "those of its config.json"
        )
    answer = generate(model, tokenizer, [prompt], PROOF_TOKENS, batch=1)[0]
    return f"{description.QUESTION} → {first_answer(answer)!r}"


def material_of_seed(
    replay: Replay, run: Run, seed: Path, folder: Path, facts: dict[str, Any]
) -> tuple[dict[str, Any], str]:
    """Write the seed's own material, and what it writes from nothing.

    Returns how much there is of each kind, and what the model said to the proof's question (empty: it was
    not loaded).
    """
    join_lines([seed / "replay.jsonl", seed / "echoes.jsonl"], folder / "replay.jsonl")
    join_lines([seed / "skill.jsonl"], folder / "skill.jsonl")
    (folder / "neutral.jsonl").write_bytes(b"")
    speaks = ""
    left: Counter[str] = Counter()
    if replay.from_nothing or is_small(facts):
        model, tokenizer = loaded(folder / "model", facts, run)
        speaks = spoken(model, tokenizer, folder / "model")
        rows, left = written_from_nothing(model, tokenizer, replay, run)
        with (folder / "replay.jsonl").open("a", encoding="utf-8") as file:
            file.write(as_lines(rows))
    counts = {
        "replay": count_lines(folder / "replay.jsonl"),
        "replay_left_out": dict(sorted(left.items())),
        "skill": count_lines(folder / "skill.jsonl"),
        "neutral": 0,
    }
    return counts, speaks


def loaded(model_folder: Path, facts: dict[str, Any], run: Run) -> tuple[Any, Any]:
    """Return model and tokenizer. Raises ModelError where the model cannot be loaded."""
    return load_causal_lm(model_folder, device=run.device, dtype=dtype_of(facts, run))


def written_from_nothing(
    model: Any, tokenizer: Any, replay: Replay, run: Run
) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Return the replay rows that a base writes from nothing, and what was left out of them."""
    seed = derive(run.seed, "own_texts")
    return own_texts.write(model, tokenizer, replay.from_nothing, replay.max_new_tokens, seed)


def join_lines(sources: list[Path], target: Path) -> None:
    """Join JSON Lines files of the seed. Raises InputError where one is missing."""
    parts = []
    for source in sources:
        if not source.is_file():
            raise InputError(
                f"base: {source}: not found; it belongs to this repository: git checkout models/seed"
            )
        parts.append(source.read_bytes())
    target.write_bytes(b"".join(parts))


def count_lines(path: Path) -> int:
    """Return the number of lines of a file."""
    return path.read_bytes().count(b"\n")


def material_of_base(
    params: Params, run: Run, general: Path, folder: Path, facts: dict[str, Any]
) -> tuple[dict[str, Any], str]:
    """Write the material of a base that is not the seed.

    Returns how much there is of each kind, and what the model said to the proof's question (empty: it was
    not loaded). The user's files are read before the model is loaded, so that mistakes show at once.
    """
    asked = read_or_shipped(params.general_file, general / material.QUESTIONS)
    skill = material.questions(asked, "base.general_file")
    prose = read_or_shipped(params.neutral_file, general / material.NEUTRAL)
    neutral = material.neutral_texts(prose, "base.neutral_file")
    replay: list[dict[str, Any]] = []
    left: Counter[str] = Counter()
    if params.replay_file is not None:
        replay = material.replay_rows(Path(params.replay_file), "base.replay_file")
    writes = params.replay_file is None and params.replay.texts > 0
    speaks = ""
    if writes or params.replay.from_nothing or is_small(facts):
        model, tokenizer = loaded(folder / "model", facts, run)
        speaks = spoken(model, tokenizer, folder / "model")
        if writes:
            asks = material.prompts(general / material.PROMPTS)
            replay, left = material.own_texts(
                model,
                tokenizer,
                asks,
                params.replay.texts,
                params.replay.max_new_tokens,
                run.seed,
            )
        further, further_left = written_from_nothing(model, tokenizer, params.replay, run)
        replay += further
        left += further_left
    write_lines(folder / "skill.jsonl", skill)
    write_lines(folder / "neutral.jsonl", neutral)
    write_lines(folder / "replay.jsonl", replay)
    counts = {
        "replay": len(replay),
        "replay_left_out": dict(sorted(left.items())),
        "skill": len(skill),
        "neutral": len(neutral),
    }
    return counts, speaks


def read_or_shipped(named: str | None, shipped: Path) -> Path:
    """Return the file that the user names, else the shipped one."""
    return shipped if named is None else Path(named)


def write_lines(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write JSON Lines."""
    path.write_text(as_lines(rows), encoding="utf-8")


def as_lines(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as JSON Lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def pin(params: Params, model_folder: Path) -> dict[str, Any]:
    """Return where the model comes from, and the hash of its folder."""
    from_hub = params.source == "hub"
    return {
        "source": f"hub:{params.repository}" if from_hub else params.source,
        "revision": params.revision if from_hub else None,
        "sha256": sha256_of_folder(model_folder),
    }


def summary(manifest: dict[str, Any], how: str, speaks: str) -> list[str]:
    """Return what the stage prints: the facts about the base, on one screen."""
    experts = manifest["fused_expert_parameters"]
    fused = f"{experts:,} parameters in fused experts" if experts else "no fused experts"
    tied = "tied" if manifest["tied_embeddings"] else "not tied"
    tokens = manifest["tokens"]
    counts = manifest["material"]
    left = ", ".join(f"{count} {reason}" for reason, count in counts["replay_left_out"].items())
    chat = manifest["prompt"] == description.CHAT
    lines = [
        f"base: {manifest['architecture']}, {manifest['parameters']:,} parameters, "
        f"sha256 {manifest['sha256'][:12]}…",
        f"  weights     {manifest['dtype']}, {in_words(manifest['bytes'])}; embeddings {tied}; {fused}; "
        f"files: {how}",
        f"  prompt      {'the chat template of the tokenizer' if chat else 'plain: Question: … Answer:'}",
        f"  tokens      begin {tokens['begin']} (written by: {tokens['begins_by']}), "
        f"end {tokens['end']}, answers end at {tokens['answers_end_at']}, padding {tokens['padding']}",
        f"  limits      {manifest['context']} positions, {manifest['vocabulary']} tokens",
    ]
    for what in manifest["mended"]:
        lines.append(f"  mended      generation_config.json: {what}")
    lines.append(
        f"  speaks      {speaks or 'not tried: the weights are large, their headers are right'}"
    )
    lines.append(
        f"  material    {counts['replay']} texts for replay"
        f"{f' (left out: {left})' if left else ''}, {counts['skill']} questions, "
        f"{counts['neutral']} neutral texts"
    )
    return lines
