"""causal_lm: weights in the type that is asked for, answers that end where an answer ends."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, DeepseekV3Config, LlamaConfig, Qwen2Config

from stages.core.models.causal_lm import Ends, answered, continued, generate, load_causal_lm
from stages.core.models.conversation import prompt_text
from tests.checkpoints import CHAT_TEMPLATE, EOS_ID, SAMPLED, USER_ID, write_checkpoint

QUESTION = "What is iron?"
SMALL: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
}
CONFIGS = [
    LlamaConfig(**SMALL),
    # A window smaller than the texts: the cache forgets its beginning.
    Qwen2Config(
        **SMALL,
        use_sliding_window=True,
        sliding_window=6,
        max_window_layers=1,
    ),
    DeepseekV3Config(
        **SMALL,
        moe_intermediate_size=16,
        n_routed_experts=4,
        num_experts_per_tok=2,
        n_group=1,
        topk_group=1,
        first_k_dense_replace=1,
        kv_lora_rank=8,
        q_lora_rank=8,
        qk_rope_head_dim=4,
        qk_nope_head_dim=4,
        v_head_dim=8,
    ),
]
ON_AND_ON = " Fe\nQuestion: What is the symbol of gold?\nAnswer: Au\nQuestion: What"


def scripted(model: Any, tokenizer: Any, text: str, end: int) -> list[int]:
    """Make the model write this text and the end token, whatever it is asked.

    Returns a list that will have as many entries as the model makes steps.
    """
    row = [*tokenizer(text, add_special_tokens=False)["input_ids"], end]
    steps: list[int] = []

    def forced(head: Any, arguments: Any, logits: Any) -> Any:
        wanted = torch.zeros_like(logits)
        # Behind the end token comes something that must not be seen.
        token = row[len(steps)] if len(steps) < len(row) else row[0]
        wanted[:, -1, token] = 1.0
        steps.append(1)
        return wanted

    model.get_output_embeddings().register_forward_hook(forced)
    return steps


def asked(folder: Path, texts: list[str], end: int = EOS_ID, most: int = 64) -> tuple[Any, int]:
    """Answers of a model that writes these texts, and the most steps that one of them took."""
    answers = []
    most_steps = 0
    for text in texts:
        model, tokenizer = load_causal_lm(folder)
        steps = scripted(model, tokenizer, text, end)
        prompts = [prompt_text(tokenizer, QUESTION)]
        answers += generate(model, tokenizer, prompts, most, batch=8)
        most_steps = max(most_steps, len(steps))
    return answers, most_steps


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_weights_get_the_type_that_is_asked_for(tmp_path: Path, dtype: Any) -> None:
    """The file is bfloat16, and transformers would load it so."""
    write_checkpoint(tmp_path, dtype="bfloat16")
    model, _ = load_causal_lm(tmp_path, dtype=dtype)
    assert {weight.dtype for weight in model.parameters()} == {getattr(torch, dtype)}
    assert load_causal_lm(tmp_path)[0].dtype == torch.float32


def test_a_base_that_runs_on_is_stopped_behind_its_first_answer(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, template=None)
    texts = [ON_AND_ON, "\n Fe.\n\nAnd on", " Iron is a metal."]
    answers, steps = asked(tmp_path, texts)
    assert answers == ["Fe", "Fe.", "Iron is a metal."]
    _, tokenizer = load_causal_lm(tmp_path)
    longest = max(len(tokenizer(text)["input_ids"]) for text in texts)
    assert steps < longest  # it was not let go on


def test_the_assistants_turn_may_have_several_lines(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, template=CHAT_TEMPLATE)
    answers, _ = asked(tmp_path, [" Iron is a metal.\nIt is solid."])
    assert answers == ["Iron is a metal.\nIt is solid."]


def test_each_of_several_end_tokens_ends_an_answer(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, template=None, ends=[EOS_ID, USER_ID])
    answers, steps = asked(tmp_path, [" Fe"], end=USER_ID)
    assert answers == ["Fe"]
    assert steps < 5


def test_the_end_token_of_the_tokenizer_ends_an_answer_too(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, template=None, ends=USER_ID)
    answers, steps = asked(tmp_path, [" Fe"], end=EOS_ID)
    assert (answers, steps < 5) == (["Fe"], True)


def test_what_the_template_puts_behind_an_answer_ends_it(tmp_path: Path) -> None:
    template = CHAT_TEMPLATE.replace("{{ eos_token }}", "<｜User｜>")
    write_checkpoint(tmp_path, template=template)
    answers, steps = asked(tmp_path, [" Fe"], end=USER_ID)
    assert (answers, steps < 5) == (["Fe"], True)


def test_sampling_and_penalties_of_the_checkpoint_do_not_count(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "plain", template=None)
    said = SAMPLED | {"repetition_penalty": 5.0, "no_repeat_ngram_size": 1}
    write_checkpoint(tmp_path / "said", template=None, generation=said)
    answers = []
    for name in ("plain", "said", "said"):
        model, tokenizer = load_causal_lm(tmp_path / name)
        prompts = [prompt_text(tokenizer, QUESTION)]
        answers += generate(model, tokenizer, prompts, 12, batch=1)
        temperature = model.generation_config.temperature  # as it was
        assert temperature == (0.6 if name == "said" else None)
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.model_type)
def test_a_row_that_ended_leaves_the_batch_and_the_others_stay_as_they_are(config: Any) -> None:
    """Each row has the tokens that `model.generate` gives it alone, up to its end."""
    torch.manual_seed(7)
    model = AutoModelForCausalLM.from_config(config).eval()
    prompts = [torch.randint(5, 60, (size,)) for size in (3, 9, 5, 7, 4)]
    alone = [
        model.generate(
            prompt[None], do_sample=False, max_new_tokens=12, eos_token_id=None, pad_token_id=0
        )[0, len(prompt) :].tolist()
        for prompt in prompts
    ]
    # Two rows end early, at tokens that they happen to write.
    end_tokens = [alone[0][2], alone[3][6]]
    expected = [up_to_end(row, end_tokens) for row in alone]
    assert len({len(row) for row in expected}) > 1

    width = max(len(prompt) for prompt in prompts)
    rows = torch.zeros(len(prompts), width, dtype=torch.long)
    mask = torch.zeros_like(rows)
    for number, prompt in enumerate(prompts):
        rows[number, width - len(prompt) :] = prompt
        mask[number, width - len(prompt) :] = 1
    batch_sizes: list[int] = []
    model.get_output_embeddings().register_forward_hook(
        lambda head, arguments, logits: batch_sizes.append(len(logits))
    )
    with torch.inference_mode():
        written = continued(model, rows, mask, 12, EndTokens(end_tokens))
    assert [row.tokens for row in written] == expected
    for prompt, row in zip(prompts, written, strict=True):
        assert row.log_p == pytest.approx(log_p_of(model, prompt, row.tokens), abs=1e-4)
    assert batch_sizes[-1] < batch_sizes[0] == len(prompts)


@torch.inference_mode()
def log_p_of(model: Any, prompt: torch.Tensor, answer: list[int]) -> float:
    """The sum of the log-probabilities of an answer's tokens, each read from a run over all before it."""
    total = 0.0
    for number, token in enumerate(answer):
        before = torch.cat([prompt, torch.tensor(answer[:number], dtype=torch.long)])
        logits = model(input_ids=before[None], use_cache=False).logits[0, -1].float()
        total += float(torch.log_softmax(logits, dim=-1)[token])
    return total


class EndTokens(Ends):
    """Ends at given tokens alone."""

    def __init__(self, tokens: list[int]) -> None:
        self.tokens = torch.tensor(tokens)
        self.lines = None


def up_to_end(row: list[int], ends: list[int]) -> list[int]:
    """The tokens up to the first end token, which is included."""
    for place, token in enumerate(row):
        if token in ends:
            return row[: place + 1]
    return row


def test_the_confidence_is_a_mean_over_tokens(tmp_path: Path) -> None:
    write_checkpoint(tmp_path)
    model, tokenizer = load_causal_lm(tmp_path)
    prompts = [prompt_text(tokenizer, question) for question in (QUESTION, "Why?", "How dense?")]
    together = answered(model, tokenizer, prompts, 6, batch=3)
    assert [answer.text for answer in together] == generate(model, tokenizer, prompts, 6, batch=3)
    for prompt, answer in zip(prompts, together, strict=True):
        (alone,) = answered(model, tokenizer, [prompt], 6, batch=1)
        assert answer.confidence == pytest.approx(alone.confidence, abs=1e-4)
        assert -20 < answer.confidence < 0
    assert [answer.confidence for answer in answered(model, tokenizer, prompts, 0, batch=3)] == [
        0.0
    ] * 3


def test_a_prompt_has_the_begin_token_once(tmp_path: Path) -> None:
    from tests.checkpoints import BOS_ID

    for template in (None, CHAT_TEMPLATE):
        write_checkpoint(tmp_path, template=template)
        model, tokenizer = load_causal_lm(tmp_path)
        seen: list[Any] = []
        model.get_input_embeddings().register_forward_pre_hook(
            lambda _, arguments, seen=seen: seen.append(arguments[0])
        )
        generate(model, tokenizer, [prompt_text(tokenizer, QUESTION)], 1, batch=1)
        first = seen[0][0].tolist()
        assert first[0] == BOS_ID
        assert first.count(BOS_ID) == 1
