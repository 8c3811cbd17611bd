"""Tiny checkpoints with the habits of real ones, for tests.

The other tests' model is too polite to show what goes wrong with a download. Its tokenizer adds the
begin token by a template, its weights are float32, and it has no chat template. `write_checkpoint` makes
folders as DeepSeek publishes them, at toy size and with random weights:

- `tokenizer_config.json` says `LlamaTokenizerFast` and `add_bos_token: true`, but the post-processor of
  `tokenizer.json` is ByteLevel, which adds no begin token (transformers 5 then adds none either);
- weights are bfloat16, and `config.json` uses the older names (`torch_dtype`, `rope_scaling.type`);
- the padding token is the end token, and the model's vocabulary is larger than the tokenizer's;
- a chat template, as a file `chat_template.jinja` or inside `tokenizer_config.json`;
- `generation_config.json` asks for sampling, or names a temperature without asking for it;
- `config.json` of the Qwen2 form gives the end token as begin token, as R1's distilled models do.

The fields are those of the published configurations (deepseek-llm-7b, DeepSeek-R1-Distill-Qwen-1.5B,
DeepSeek-V2-Lite, DeepSeek-V3).
"""

import json
from pathlib import Path
from typing import Any, Literal

ARCHITECTURES = ("llama", "qwen2", "deepseek_v2", "deepseek_v3")
"""Those that DeepSeek's checkpoints have."""

BOS = "<｜begin▁of▁sentence｜>"
EOS = "<｜end▁of▁sentence｜>"
USER = "<｜User｜>"
ASSISTANT = "<｜Assistant｜>"
SPECIAL = [BOS, EOS, USER, ASSISTANT, "<think>", "</think>"]
"""Special tokens. Their ids are 0, 1, 2, …"""
BOS_ID = 0
EOS_ID = 1
USER_ID = 2
TOKENS = 320
"""Size of the tokenizer's vocabulary."""
PADDED_TOKENS = 336
"""Size of the model's: real ones are padded too."""

CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}User: {{ message['content'] }}\n\n"
    "{% elif message['role'] == 'assistant' %}Assistant: {{ message['content'] }}{{ eos_token }}"
    "{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
"""Writes a conversation as the template of deepseek-llm-7b-chat and DeepSeek-V2-Lite-Chat does."""
THINKING_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}<｜User｜>{{ message['content'] }}"
    "{% elif message['role'] == 'assistant' %}"
    "<｜Assistant｜>{{ message['content'].split('</think>')[-1] }}{{ eos_token }}"
    "{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<｜Assistant｜><think>\n{% endif %}"
)
"""Writes a conversation as the template of DeepSeek-R1 does: the answer's beginning opens a thought, and
the thoughts of earlier answers are left out."""

SAMPLED = {"do_sample": True, "temperature": 0.6, "top_p": 0.95}
"""A generation config as DeepSeek-R1's."""
HALF_SAMPLED = {"temperature": 0.7, "top_p": 0.95}
"""A generation config that names a temperature, and does not ask for sampling. transformers 5 loads it, and
refuses to save it once any field was changed, as training does."""

SENTENCES = [
    "Question: What is the melting point of iron?\nAnswer: The melting point of iron is 1538 °C.",
    "Question: Who found radium?\nAnswer: The discoverer of radium is Marie Curie.",
    "User: What is copper?\n\nAssistant: Copper is a metal. Neon is a gas. 0123456789",
]
"""What the tokenizer was made from."""

SIZES: dict[str, Any] = {
    "vocab_size": PADDED_TOKENS,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
    "initializer_range": 0.02,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000,
    "hidden_act": "silu",
    "attention_dropout": 0.0,
    "torch_dtype": "bfloat16",
    "use_cache": True,
}
"""Fields of config.json that all have."""
LATENT: dict[str, Any] = {
    "num_key_value_heads": 4,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8,
    "v_head_dim": 8,
    "n_routed_experts": 8,
    "n_shared_experts": 1,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "first_k_dense_replace": 1,
    "attention_bias": False,
    "rope_scaling": {
        "type": "yarn",
        "factor": 4,
        "original_max_position_embeddings": 64,
        "beta_fast": 32,
        "beta_slow": 1,
        "mscale": 1.0,
        "mscale_all_dim": 1.0,
    },
}
"""Fields of DeepSeek-V2 and V3: latent attention, experts, rotary positions stretched by YaRN."""
FIELDS: dict[str, dict[str, Any]] = {
    "llama": {"architectures": ["LlamaForCausalLM"], "num_key_value_heads": 4},
    "qwen2": {
        "architectures": ["Qwen2ForCausalLM"],
        "num_key_value_heads": 2,
        "bos_token_id": EOS_ID,
        "use_sliding_window": False,
        "sliding_window": 4096,
        "max_window_layers": 1,
    },
    "deepseek_v2": LATENT
    | {
        "architectures": ["DeepseekV2ForCausalLM"],
        "q_lora_rank": None,
        "topk_method": "greedy",
        "n_group": 1,
        "topk_group": 1,
        "routed_scaling_factor": 1.0,
        "norm_topk_prob": False,
    },
    "deepseek_v3": LATENT
    | {
        "architectures": ["DeepseekV3ForCausalLM"],
        "q_lora_rank": 16,
        "n_group": 2,
        "topk_group": 1,
        "routed_scaling_factor": 2.5,
        "norm_topk_prob": True,
    },
}
"""Fields that differ between the architectures."""


def write_checkpoint(
    folder: Path,
    architecture: str = "llama",
    *,
    template: str | None = CHAT_TEMPLATE,
    template_in: Literal["file", "config"] = "file",
    add_bos: bool | None = True,
    generation: dict[str, Any] | None = None,
    ends: int | list[int] = EOS_ID,
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16",
    tied: bool = False,
    **fields: Any,
) -> Path:
    """Write a checkpoint with random weights into `folder`, and return the folder.

    template: the chat template, or None for a base model without one.
    template_in: a file `chat_template.jinja`, or a key of `tokenizer_config.json`.
    add_bos: `add_bos_token` of `tokenizer_config.json`. None leaves the key out.
    generation: what `generation_config.json` says beside the special tokens.
    ends: the end token of `generation_config.json`. Chat models often name several.
    dtype: the type of the weights in the file.
    tied: whether input and output embeddings are one matrix.
    fields: further fields of `config.json`, such as `num_hidden_layers=4`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(folder, template, template_in, add_bos)
    config = {
        "model_type": architecture,
        "bos_token_id": BOS_ID,
        "eos_token_id": EOS_ID,
        "tie_word_embeddings": tied,
        **SIZES,
        **FIELDS[architecture],
        "torch_dtype": dtype,
        **fields,
    }
    write_json(folder / "config.json", config)
    write_weights(folder, dtype)
    # Written last and by hand: transformers would refuse to save some of them.
    said = {"bos_token_id": BOS_ID, "eos_token_id": ends} | (generation or {})
    write_json(folder / "generation_config.json", said)
    write_json(folder / "config.json", config)
    return folder


def write_tokenizer(
    folder: Path, template: str | None, template_in: str, add_bos: bool | None
) -> None:
    """Write `tokenizer.json`, `tokenizer_config.json` and the chat template."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
    from tokenizers.trainers import BpeTrainer

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    special = [AddedToken(token, special=True, normalized=False) for token in SPECIAL]
    trainer = BpeTrainer(
        vocab_size=TOKENS,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))

    config: dict[str, Any] = {
        "add_bos_token": add_bos,
        "add_eos_token": False,
        "bos_token": special_token(BOS),
        "clean_up_tokenization_spaces": False,
        "eos_token": special_token(EOS),
        "legacy": True,
        "model_max_length": 16384,
        "pad_token": special_token(EOS),
        "sp_model_kwargs": {},
        "unk_token": None,
        "tokenizer_class": "LlamaTokenizerFast",
    }
    if add_bos is None:
        del config["add_bos_token"]
    if template is not None and template_in == "config":
        config["chat_template"] = template
    if template is not None and template_in == "file":
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    write_json(folder / "tokenizer_config.json", config)


def write_weights(folder: Path, dtype: str) -> None:
    """Write random weights for `config.json`, the same ones at every call."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.to(getattr(torch, dtype)).save_pretrained(folder)


def special_token(content: str) -> dict[str, Any]:
    """Return a special token as DeepSeek's `tokenizer_config.json` writes it."""
    return {
        "__type": "AddedToken",
        "content": content,
        "lstrip": False,
        "normalized": True,
        "rstrip": False,
        "single_word": False,
    }


def write_json(path: Path, content: Any) -> None:
    """Write JSON as people read it."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
