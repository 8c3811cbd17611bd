"""GGUF, the format of llama.cpp: one file with weights, settings and tokenizer, written with the package `gguf`.

`gguf_f32` keeps every bit. `gguf_f16` rounds matrices to half precision. `gguf_q8_0` makes them INT8 in blocks of
32 with a scale each. Vectors, such as the weights of norms, stay float32 in all.

Two things differ from the folder that the model came from:

- llama.cpp turns neighbouring pairs of a head's numbers by their position, transformers turns the first half
  against the second. So the rows of the query and key projections of Llama are reordered (`interleaved`). Qwen2
  keeps its order.
- A file names its pre-tokenizer, out of a list that llama.cpp knows by heart, and does not describe it. Known are
  those of `PRE_TOKENIZERS`. The seed model's is named smollm, which splits a run of white space otherwise.

Written anew, a file has the same bytes. It is checked by reading it back with transformers, which undoes all of this.
"""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from stages.core.models.causal_lm import load_causal_lm
from stages.core.models.conversation import opening_tokens
from stages.export.files import architecture_of

TYPES = {"gguf_f32": "F32", "gguf_f16": "F16", "gguf_q8_0": "Q8_0"}
"""GGUF's name of the type of the matrices, by format."""
ARCHITECTURES = {"LlamaForCausalLM": "llama", "Qwen2ForCausalLM": "qwen2"}
"""GGUF's names of the architectures."""
FILE = "model.gguf"
BLOCK = 32
"""Numbers that share a scale in Q8_0. A row of another multiple stays half precision."""
SEED_SPLIT = r" ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+"
QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
GPT2_SPLIT = "ByteLevel"
PRE_TOKENIZERS = {
    ("Digits", SEED_SPLIT): "smollm",
    (QWEN_SPLIT,): "qwen2",
    (GPT2_SPLIT,): "gpt-2",
}
"""llama.cpp's name of a pre-tokenizer, by the steps of it in tokenizer.json (`steps_of`)."""


def problems(folder: Path) -> list[str]:
    """Return why the model in a folder cannot be exported, and what to do."""
    if find_spec("gguf") is None:
        return ["gguf not installed; pip install gguf, or take the format out"]
    architecture = architecture_of(folder)
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        return [f"no export for {architecture}, only for {known}; write [split] instead"]
    found = []
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = rope.get("rope_type") or rope.get("type") or "default"
    if kind != "default":
        found.append(
            f"positions are stretched ({kind}), which is not written yet; convert the folder with llama.cpp's "
            "convert_hf_to_gguf.py"
        )
    path = folder / "tokenizer.json"
    if not path.is_file():
        found.append(f"{path}: not found; only the tokenizers of that file can be written")
        return found
    steps = steps_of(json.loads(path.read_text(encoding="utf-8")))
    if steps not in PRE_TOKENIZERS:
        found.append(
            f"{path}: llama.cpp has no known name for its pre-tokenizer {list(steps)}; convert the folder with "
            "llama.cpp's convert_hf_to_gguf.py"
        )
    return found


def steps_of(tokenizer: dict[str, Any]) -> tuple[str, ...]:
    """Return what tells the pre-tokenizer of a tokenizer.json from others.

    Each split gives its pattern, and any other step its type. A last ByteLevel that does not split (`use_regex`
    false) is left out: every byte-level tokenizer has it.
    """
    step = tokenizer.get("pre_tokenizer") or {}
    steps = step.get("pretokenizers", [step])
    found = []
    for one in steps:
        kind = str(one.get("type"))
        if kind == "Split":
            found.append(str(one["pattern"].get("Regex")))
        elif kind != "ByteLevel" or one.get("use_regex", True):
            found.append(kind)
    return tuple(found)


def make(source: Path, target: Path, matrices: str) -> None:
    """Write the GGUF file of a float model folder. `matrices` is F32, F16 or Q8_0."""
    import gguf

    model, tokenizer = load_causal_lm(source)
    config = model.config
    architecture = ARCHITECTURES[architecture_of(source)]
    target.mkdir(parents=True)
    writer = gguf.GGUFWriter(target / FILE, architecture)
    try:
        write_settings(writer, config, architecture, matrices)
        write_tokenizer(writer, source, tokenizer, config.vocab_size)
        write_weights(writer, model, architecture, matrices)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def write_settings(writer: Any, config: Any, architecture: str, matrices: str) -> None:
    """Write the settings of the architecture."""
    import gguf

    heads = config.num_attention_heads
    width_of_head = getattr(config, "head_dim", None) or config.hidden_size // heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(width_of_head)
    writer.add_value_length(width_of_head)
    writer.add_rope_dimension_count(width_of_head)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    file_types = {
        "F32": gguf.LlamaFileType.ALL_F32,
        "F16": gguf.LlamaFileType.MOSTLY_F16,
        "Q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
    }
    writer.add_file_type(file_types[matrices])
    if matrices == "Q8_0":
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def write_tokenizer(writer: Any, source: Path, tokenizer: Any, vocabulary: int) -> None:
    """Write the byte-pair tokenizer of a folder. `vocabulary` is the model's number of tokens."""
    import gguf

    content = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    tokens = [""] * vocabulary
    kinds = [gguf.TokenType.UNUSED] * vocabulary
    for token, number in content["model"]["vocab"].items():
        tokens[number] = token
        kinds[number] = gguf.TokenType.NORMAL
    for added in content["added_tokens"]:
        tokens[added["id"]] = added["content"]
        kinds[added["id"]] = gguf.TokenType.USER_DEFINED
        if added["special"]:
            kinds[added["id"]] = gguf.TokenType.CONTROL
    # A model may have more tokens than its tokenizer. llama.cpp wants a name for each.
    for number, token in enumerate(tokens):
        if not token:
            tokens[number] = f"[PAD{number}]"
    merges = []
    for merge in content["model"]["merges"]:
        # ["i", "n"] in newer files, "i n" in older ones
        merges.append(merge if isinstance(merge, str) else " ".join(merge))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PRE_TOKENIZERS[steps_of(content)])
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    if tokenizer.bos_token_id is not None:
        writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_add_bos_token(tokenizer.bos_token_id in opening_tokens(tokenizer))
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)


def write_weights(writer: Any, model: Any, architecture: str, matrices: str) -> None:
    """Add all weights, sorted by their names in transformers. A tied head is left out: it is the embedding."""
    import gguf
    import numpy as np

    config = model.config
    layers = config.num_hidden_layers
    arch = {"llama": gguf.MODEL_ARCH.LLAMA, "qwen2": gguf.MODEL_ARCH.QWEN2}[architecture]
    names = gguf.get_tensor_name_map(arch, layers)
    head = model.get_output_embeddings().weight
    is_tied = head is model.get_input_embeddings().weight
    for name, weight in sorted(model.state_dict().items()):
        if name == "lm_head.weight" and is_tied:
            continue
        values = weight.detach().float().cpu().numpy()
        if architecture == "llama" and ".q_proj." in name:
            values = interleaved(values, config.num_attention_heads)
        elif architecture == "llama" and ".k_proj." in name:
            values = interleaved(values, config.num_key_value_heads)
        called = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if called is None:
            raise ValueError(f"{name}: GGUF has no name for this weight of {architecture}")
        if values.ndim == 1 or matrices == "F32":
            writer.add_tensor(called, np.ascontiguousarray(values))
        elif matrices == "Q8_0" and values.shape[-1] % BLOCK == 0:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(called, gguf.quants.quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(called, values.astype(np.float16))


def interleaved(values: Any, heads: int) -> Any:
    """Return the rows (heads · width, …) of a projection in llama.cpp's order.

    Of a head with the rows 0 1 2 3, transformers turns 0 with 2 and 1 with 3. llama.cpp turns neighbours, so
    the order becomes 0 2 1 3.
    """
    width = values.shape[0] // heads
    halves = values.reshape(heads, 2, width // 2, *values.shape[1:])
    return halves.swapaxes(1, 2).reshape(values.shape)


def read(folder: Path) -> Any:
    """Return the model of an exported file, read by transformers into float32, in eval mode."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=FILE, local_files_only=True, dtype=torch.float32
    )
    return model.eval()
