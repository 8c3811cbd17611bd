"""What a checkpoint says about itself, and whether that holds together. Read before anything is trained.

No weights are loaded for it. The headers of the safetensors name each weight with its type and shape.
transformers builds the architecture on torch's meta device, where weights have shapes and no memory, and
compares the two. It knows the older names of weights, and which ones it joins, such as experts.

| checked | why |
|---|---|
| names and shapes of weights | transformers fills missing weights with random numbers, with a warning |
| no quantised weights | they cannot be trained, nor merged with an adapter |
| the tokenizer fits the embeddings | a token without embedding stops training at the row that has it |
| an end token | without one no answer ends |
| the chat template renders a question and its answer | it decides how rows and prompts look |
| the generation config can be saved | transformers refuses at the end of `distill` what it only warns of here |

Two faults of generation_config.json are mended in the copy in `models/base`, and said: `do_sample: true`
is added where the file has settings of sampling without it, and the tokenizer's end token is added where
generation would not stop at it.
"""

import json
import logging
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.base.files import weight_files
from stages.core.models.conversation import conversation_text, encode
from stages.core.project.errors import ModelError

TYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
}
"""Types in a header of safetensors, and torch's names of them."""
TRAINABLE = ("float64", "float32", "float16", "bfloat16")
SHOWN = 3
"""Names of weights that a message lists."""
# The line of a report of transformers that says why weights could not be joined.
CONVERSION_ERROR = re.compile(r"^Error: (.*)$", re.MULTILINE)
GENERATION = "generation_config.json"
QUESTION = "What is the capital of France?"
"""Asked to see whether the chat template renders, and whether the model speaks."""
PLAIN = "plain"
CHAT = "chat"


def skeleton(folder: Path) -> Any:
    """Return the model on the meta device: all names and shapes, no weights.

    Raises ModelError where the architecture is unknown or needs code of the checkpoint, where weights are
    quantised, and where weights are missing, left over or of another shape.
    """
    config = read_json(folder / "config.json")
    refuse_quantised(folder, config)
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    with reports_of_transformers() as reports:
        try:
            model, found = AutoModelForCausalLM.from_pretrained(
                folder,
                device_map="meta",
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # it lists them then, with their shapes
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
            )
        except (
            OSError,
            ValueError,
            RuntimeError,
            TypeError,
            KeyError,
            AttributeError,
            SafetensorError,
        ) as error:
            told = CONVERSION_ERROR.search("\n".join(reports))
            reason = told[1] if told else str(error).strip().split("\n")[0]
            raise ModelError(f"base: {folder}: the model cannot be loaded ({reason})") from None
    problems = []
    problems += missing(found["missing_keys"])
    problems += left_over(found["unexpected_keys"])
    problems += of_another_shape(found["mismatched_keys"])
    if problems:
        listed = "\n  ".join(problems)
        raise ModelError(
            f"base: {folder}: the weights are not those of {architecture_of(model)}; fetch the model "
            f"again, or mend config.json:\n  {listed}"
        )
    return model


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON file of a checkpoint. Raises ModelError where it is missing or no JSON object."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"base: {path}: not found; copy it from where the model comes from"
        ) from None
    except ValueError as error:
        raise ModelError(f"base: {path}: not readable as JSON ({error}); fetch it again") from None
    if not isinstance(document, dict):
        raise ModelError(f"base: {path}: holds no JSON object; fetch it again")
    return document


def refuse_quantised(folder: Path, config: dict[str, Any]) -> None:
    """Raise ModelError where a checkpoint's weights are quantised."""
    advice = (
        "such weights cannot be trained or merged: take the model's bfloat16 weights, or convert these "
        "(DeepSeek-V3 brings fp8_cast_bf16.py) and remove quantization_config from config.json"
    )
    if "quantization_config" in config:
        how = config["quantization_config"].get("quant_method", "an unnamed method")
        raise ModelError(
            f"base: {folder / 'config.json'}: the weights are quantised ({how}); {advice}"
        )
    others = sorted(set(stored_types(folder)) - set(TRAINABLE))
    if others:
        raise ModelError(f"base: {folder}: weights of type {', '.join(others)}; {advice}")


def stored_types(folder: Path) -> Counter[str]:
    """Return how many numbers are stored in each type, from the headers of the files.

    Raises ModelError where a file is cut or is no safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    types: Counter[str] = Counter()
    for path in weight_files(folder):
        try:
            with safe_open(path, "pt") as file:
                for name in file.keys():  # noqa: SIM118 - it is no mapping
                    stored = file.get_slice(name)
                    numbers = 1
                    for size in stored.get_shape():
                        numbers *= size
                    kind = stored.get_dtype()
                    types[TYPES.get(kind, kind.lower())] += numbers
        except SafetensorError as error:
            raise ModelError(
                f"base: {path}: no whole safetensors file ({error}); fetch it again"
            ) from None
    return types


@contextmanager
def reports_of_transformers() -> Iterator[list[str]]:
    """Keep what transformers logs meanwhile in a list, instead of printing it."""
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    logger = logging.getLogger("transformers")
    handlers = logger.handlers
    level = logger.level
    reports: list[str] = []
    collector = logging.Handler()
    collector.emit = lambda record: reports.append(record.getMessage())  # type: ignore[method-assign]
    logger.handlers = [collector]
    # Another level, such as that of TRANSFORMERS_VERBOSITY=error, would hide what is wrong.
    logger.setLevel(logging.WARNING)
    try:
        yield reports
    finally:
        logger.handlers = handlers
        logger.setLevel(level)


def missing(names: Any) -> list[str]:
    """Say which weights the files lack."""
    return [f"missing: {first_few(sorted(names))}"] if names else []


def left_over(names: Any) -> list[str]:
    """Say which weights of the files the architecture does not have."""
    return [f"left over: {first_few(sorted(names))}"] if names else []


def of_another_shape(found: Any) -> list[str]:
    """Say which weights have another shape. `found` holds (name, shape in the file, shape wanted)."""
    lines = []
    for name, stored, wanted in sorted(found)[:SHOWN]:
        lines.append(
            f"of another shape: {name}, {list(stored)} in the file, {list(wanted)} by config.json"
        )
    if len(found) > SHOWN:
        lines.append(f"… and {len(found) - SHOWN} more of another shape")
    return lines


def first_few(names: list[str]) -> str:
    """Return some names, and how many there are more."""
    shown = ", ".join(names[:SHOWN])
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{shown}{more}"


def architecture_of(model: Any) -> str:
    """Return the name of the class of a model, as its config writes it."""
    names = model.config.architectures
    return str(names[0]) if names else type(model).__name__


def check_tokenizer(folder: Path, model: Any, tokenizer: Any) -> None:
    """Raise ModelError where a tokenizer does not fit the model, or has no end token."""
    rows = model.get_input_embeddings().weight.shape[0]
    largest = max(tokenizer.get_vocab().values())
    if largest >= rows:
        raise ModelError(
            f"base: {folder}: the tokenizer has token {largest}, and the model has embeddings for "
            f"{rows} tokens (0 to {rows - 1}); take the tokenizer that belongs to the model"
        )
    if tokenizer.eos_token_id is None:
        raise ModelError(
            f"base: {folder}: the tokenizer has no end token, so no answer would end; "
            "write eos_token into tokenizer_config.json"
        )


def token_rules(tokenizer: Any, generation: Any) -> dict[str, Any]:
    """Return which tokens a row begins and ends with, and what it is padded with.

    `begins_by` says who writes the begin token: the tokenizer, the chat template, or nobody.
    """
    _, text = conversation_text(tokenizer, QUESTION, "Paris.")
    row = encode(tokenizer, [text])[0]
    written = tokenizer(text, add_special_tokens=False)["input_ids"]
    begin = tokenizer.bos_token_id
    begins_by = "nobody"
    if begin is not None and row[0] == begin:
        begins_by = "chat template" if written[0] == begin else "tokenizer"
    ends = generation.eos_token_id
    return {
        "begin": begin,
        "begins_by": begins_by,
        "end": tokenizer.eos_token_id,
        "answers_end_at": sorted(ends) if isinstance(ends, list) else [ends],
        "padding": tokenizer.pad_token_id,
    }


def mend_generation(folder: Path, model: Any, tokenizer: Any) -> list[str]:
    """Mend generation_config.json of a folder that is our own copy, and say each thing that was mended.

    Raises ModelError where it cannot be mended.
    """
    path = folder / GENERATION
    document: dict[str, Any] = read_json(path) if path.is_file() else {}
    before = dict(document)
    mended = []
    ends = model.generation_config.eos_token_id
    known = ends if isinstance(ends, list) else [ends]
    if tokenizer.eos_token_id not in known:
        document["eos_token_id"] = [end for end in known if end is not None]
        document["eos_token_id"].append(tokenizer.eos_token_id)
        mended.append(
            f"eos_token_id: {tokenizer.eos_token_id} ({tokenizer.eos_token}) added, the tokenizer's end token"
        )
    wrong = problem_with(document)
    if wrong and not document.get("do_sample"):
        with_sampling = document | {"do_sample": True}
        if not problem_with(with_sampling):
            document = with_sampling
            named = ", ".join(sorted(sampling_settings(before)))
            mended.append(f"do_sample: true added, which {named} need")
            wrong = ""
    if wrong:
        raise ModelError(
            f"base: {path.name}: transformers would refuse to save it with a trained model ({wrong}); "
            "mend the file in the folder of the model, or remove it"
        )
    if mended:
        path.unlink(missing_ok=True)
        text = json.dumps(document, indent=2, ensure_ascii=False)
        path.write_text(f"{text}\n", encoding="utf-8")
    return mended


def problem_with(document: dict[str, Any]) -> str:
    """Return why transformers would not save a generation config. Empty: it would."""
    from transformers import GenerationConfig

    try:
        GenerationConfig.from_dict(document).validate(strict=True)
    except (ValueError, TypeError) as error:
        return " ".join(str(error).split())
    return ""


def sampling_settings(document: dict[str, Any]) -> list[str]:
    """Return the settings of a generation config that are for sampling alone."""
    names = (
        "temperature",
        "top_k",
        "top_p",
        "min_p",
        "top_h",
        "typical_p",
        "epsilon_cutoff",
        "eta_cutoff",
    )
    return [name for name in names if document.get(name) is not None]


def fused_experts(model: Any) -> int:
    """Return how many parameters are experts that are fused into one tensor per layer.

    They are no linear layers, so a LoRA that names linear layers leaves them alone.
    """
    count = 0
    for name, weight in model.named_parameters():
        if ".experts." in name and weight.dim() == 3:
            count += weight.numel()
    return count


def describe(folder: Path, model: Any, tokenizer: Any) -> dict[str, Any]:
    """Return the facts about a checkpoint that manifest.json gets."""
    types = stored_types(folder)
    config = model.config.get_text_config()
    return {
        "architecture": architecture_of(model),
        "parameters": model.num_parameters(),
        "fused_expert_parameters": fused_experts(model),
        "dtype": ", ".join(name for name, _ in types.most_common()),
        "bytes": sum(path.stat().st_size for path in weight_files(folder)),
        "tied_embeddings": bool(config.tie_word_embeddings),
        "vocabulary": config.vocab_size,
        "context": getattr(config, "max_position_embeddings", None),
        "prompt": CHAT if tokenizer.chat_template else PLAIN,
        "tokens": token_rules(tokenizer, generation_of(folder, model)),
    }


def generation_of(folder: Path, model: Any) -> Any:
    """Return the generation config of a folder, else the one that transformers makes of config.json."""
    from transformers import GenerationConfig

    if (folder / GENERATION).is_file():
        return GenerationConfig.from_pretrained(folder, local_files_only=True)
    return model.generation_config
