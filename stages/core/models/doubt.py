"""How sure a model is of an answer, and abstentions where it is not sure enough. No weight is changed.

The confidence of an answer is the mean log-probability of its tokens, its end token included, in nats (Malinin and
Gales 2021, arXiv 2002.07650: length-normalised likelihood). The least confidence that is accepted is chosen on questions
with known answers: a declared share of the right ones may lie below it. This is selective prediction at a coverage
(Geifman and El-Yaniv 2017, arXiv 1705.08500).

Such a rule cannot make a wrong answer right. It is the baseline that alignment by training must beat.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from stages.core.models.causal_lm import Ends, continued
from stages.core.models.conversation import answer_of, encode
from stages.core.records.abstention import WHOLE


class Answer(NamedTuple):
    """An answer, and how sure the model is of it."""

    text: str
    confidence: float
    """Mean log-probability of a token, in nats: at most 0. Of no token at all it is 0."""


def answered(
    model: Any, tokenizer: Any, prompts: Sequence[str], max_new_tokens: int, batch: int
) -> list[Answer]:
    """Return greedy answers with their confidence, in the order of the prompts.

    The texts are those of `causal_lm.generate`. `prompts` are those of `conversation.prompt_text`. The answers are
    read once more for their probabilities, which takes about a quarter of the time of writing them.
    """
    import torch

    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), prompts[i], i))
    tokens = encode(tokenizer, prompts)
    ends = Ends(model, tokenizer)
    answers = [Answer("", 0.0)] * len(prompts)
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        rows = {"input_ids": [tokens[i] for i in chosen]}
        inputs = tokenizer.pad(rows, padding_side="left", return_tensors="pt").to(model.device)
        with torch.inference_mode():
            written = continued(
                model, inputs["input_ids"], inputs["attention_mask"], max_new_tokens, ends
            )
            sure = confidences(model, [tokens[i] for i in chosen], written, tokenizer.pad_token_id)
        for i, new_tokens, confidence in zip(chosen, written, sure, strict=True):
            answers[i] = Answer(answer_of(tokenizer, new_tokens), confidence)
    return answers


def confidences(
    model: Any, prompts: Sequence[list[int]], written: Sequence[list[int]], pad: int
) -> list[float]:
    """Return the mean log-probability of the tokens that were written behind each prompt."""
    import torch

    lengths = [len(prompt) + len(answer) for prompt, answer in zip(prompts, written, strict=True)]
    tokens = torch.full((len(prompts), max(lengths)), pad)
    mask = torch.zeros_like(tokens)
    for row, (prompt, answer) in enumerate(zip(prompts, written, strict=True)):
        tokens[row, : lengths[row]] = torch.tensor(prompt + answer)
        mask[row, : lengths[row]] = 1
    tokens, mask = tokens.to(model.device), mask.to(model.device)
    logits = model(input_ids=tokens, attention_mask=mask).logits[:, :-1].float()
    log_p = torch.log_softmax(logits, dim=-1).gather(2, tokens[:, 1:, None])[:, :, 0]  # (B, S - 1)
    means = []
    for row, (prompt, answer) in enumerate(zip(prompts, written, strict=True)):
        # Position t foretells token t + 1: the last token of the prompt foretells the answer's first.
        of_answer = log_p[row, len(prompt) - 1 : lengths[row] - 1]
        means.append(float(of_answer.mean()) if answer else 0.0)
    return means


def least_confidence(right: Sequence[float], lost: float) -> float:
    """Return the least confidence that is accepted, so that at most a share `lost` of the right answers is lost.

    `right` are the confidences of right answers, at least one. Equal ones are kept or lost together.
    """
    ordered = sorted(right)
    place = min(math.floor(lost * len(ordered)), len(ordered) - 1)
    return ordered[place]


def or_abstention(answer: Answer, least: float, language: str = "en") -> str:
    """Return the answer's text, or an abstention where the model is less sure than `least`."""
    if answer.confidence >= least:
        return answer.text
    return WHOLE.get(language, WHOLE["en"])
