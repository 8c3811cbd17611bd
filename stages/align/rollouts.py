"""Answers that the policy writes by chance, and their log-probabilities.

The policy is softmax(logits / temperature), in the sampling, in the updates and in the reference. So what is
optimized is what was sampled. The distribution is not cut. A temperature below 1 is nearer to the greedy
answers that people get. Log-probabilities are not those of the sampling itself. They are computed once more, by the same
pass over the padded rows by which the updates compute theirs. So the ratio π / π_old is exactly 1 before the
first update, however the sampling was batched or cached.
"""

from typing import Any, NamedTuple

from stages.core.models.causal_lm import Ends
from stages.core.models.conversation import answer_of, encode, prompt_text


class Rollout(NamedTuple):
    """Answers of the policy to a batch of questions."""

    tokens: Any
    """Prompt and answer, padded on the right: (B, P + T)."""
    attention: Any
    """1 on tokens, 0 on padding: (B, P + T)."""
    written: Any
    """True where the next token was written by the policy: (B, P + T - 1)."""
    answers: list[str]


def sampled(
    model: Any,
    tokenizer: Any,
    questions: list[str],
    max_new_tokens: int,
    temperature: float,
    generator: Any,
) -> list[list[int]]:
    """Return an answer's tokens for each question, sampled, the end token included.

    All questions share a batch. `generator` (torch, on the CPU) draws them. Each step draws one number for
    every question, also for those whose answer has ended. So an answer does not depend on when others end.
    """
    import torch

    prompts = [prompt_text(tokenizer, question) for question in questions]
    rows = {"input_ids": encode(tokenizer, prompts)}
    inputs = tokenizer.pad(rows, padding_side="left", return_tensors="pt").to(model.device)
    tokens, mask = inputs["input_ids"], inputs["attention_mask"]
    prompt_length = tokens.shape[1]
    ends = Ends(model, tokenizer)
    answers: list[list[int]] = [[] for _ in questions]
    places = torch.arange(len(questions))
    unseen = tokens
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    cache = None
    for _ in range(max_new_tokens):
        with torch.inference_mode():
            output = model(
                input_ids=unseen,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
        cache = output.past_key_values
        draws = torch.rand(len(questions), generator=generator)[places]  # (A,)
        logits = output.logits[:, -1].float() / temperature
        unseen = drawn(logits, draws.to(model.device))[:, None]  # (A, 1)
        tokens = torch.cat([tokens, unseen], dim=1)
        mask = torch.cat([mask, torch.ones_like(unseen)], dim=1)
        positions = positions[:, -1:] + 1

        ended = ends.reached(tokens, prompt_length)  # (A,)
        for row in ended.nonzero()[:, 0].tolist():
            answers[places[row]] = tokens[row, prompt_length:].tolist()
        going_on = (~ended).nonzero()[:, 0]
        if len(going_on) == 0:
            return answers
        if not ended.any():
            continue
        places = places[going_on.cpu()]
        tokens, unseen = tokens[going_on], unseen[going_on]
        mask, positions = mask[going_on], positions[going_on]
        cache.batch_select_indices(going_on)
    for row, place in enumerate(places.tolist()):
        answers[place] = tokens[row, prompt_length:].tolist()
    return answers


def drawn(logits: Any, draws: Any) -> Any:
    """Return a token for each row of logits (A, V): the one in whose share of [0, 1) the draw (A,) lies."""
    import torch

    shares = torch.softmax(logits.double(), dim=-1).cumsum(dim=-1)  # (A, V), rising to 1
    places = torch.searchsorted(shares, draws.double()[:, None])[:, 0]  # (A,)
    return places.clamp(max=logits.shape[-1] - 1)


def rollout(
    model: Any,
    tokenizer: Any,
    questions: list[str],
    max_new_tokens: int,
    temperature: float,
    generator: Any,
) -> Rollout:
    """Let the policy answer the questions, and lay prompts and answers out for the updates."""
    import torch

    new_tokens = sampled(model, tokenizer, questions, max_new_tokens, temperature, generator)
    prompts = encode(tokenizer, [prompt_text(tokenizer, question) for question in questions])
    longest = max(len(p) + len(a) for p, a in zip(prompts, new_tokens, strict=True))
    tokens = torch.full((len(prompts), longest), tokenizer.pad_token_id)
    attention = torch.zeros_like(tokens)
    written = torch.zeros(len(prompts), longest - 1, dtype=torch.bool)
    for row, (prompt, answer) in enumerate(zip(prompts, new_tokens, strict=True)):
        whole = torch.tensor(prompt + answer)
        tokens[row, : len(whole)] = whole
        attention[row, : len(whole)] = 1
        # Position t foretells token t + 1: the last token of the prompt foretells the answer's first.
        written[row, len(prompt) - 1 : len(whole) - 1] = True
    answers = [answer_of(tokenizer, answer) for answer in new_tokens]
    device = model.device
    return Rollout(tokens.to(device), attention.to(device), written.to(device), answers)


def log_probabilities(
    model: Any, tokens: Any, attention: Any, temperature: float
) -> tuple[Any, Any, Any]:
    """Return log π of each next token (B, S - 1), the entropy there (B, S - 1), and the states (B, S - 1, H).

    The states are those of the model's last layer, from which the value head reads. They carry no gradient.
    """
    import torch

    output = model(input_ids=tokens, attention_mask=attention, output_hidden_states=True)
    log_p = torch.log_softmax(output.logits[:, :-1].float() / temperature, dim=-1)  # (B, S - 1, V)
    chosen = log_p.gather(2, tokens[:, 1:, None])[:, :, 0]
    entropy = -(log_p.exp() * log_p).sum(dim=-1)
    states = output.hidden_states[-1][:, :-1].detach().float()
    return chosen, entropy, states


def packed(values: Any, written: Any) -> Any:
    """Return the values (B, S) where `written` is true, moved to the front of each row: (B, T).

    T is the length of the longest answer. Behind shorter ones stand zeros. So place t is token t of the
    answer, as `ppo` has it. Values may have a further dimension.
    """
    import torch

    lengths = written.sum(dim=1)
    longest = int(lengths.max())
    moved = torch.zeros(
        (len(values), longest, *values.shape[2:]), dtype=values.dtype, device=values.device
    )
    front = torch.arange(longest, device=values.device)[None] < lengths[:, None]  # (B, T)
    moved[front] = values[written]
    return moved


def front_mask(written: Any) -> Any:
    """Return the mask (B, T) of what `packed` moves to the front."""
    import torch

    return packed(torch.ones_like(written), written).bool()
