"""The supervised start: a policy that never abstains is never rewarded for it, so it is first shown how.

The idea is that of R-tuning (Zhang et al. 2023, arXiv 2311.09677): what the model answers rightly stays, and
what it answers wrongly becomes an abstention. Its own sampled answers decide.

- A right answer is taught again. So is the right answer where the model wrote another value by chance behind
  the right beginning: it read the question well, and whether it may be in doubt is left to the rewards.
- Where it wrote about another subject or attribute, it is shown its own beginning up to the value, and learns
  the abstention behind it. The beginning is not learned. So it learns to notice that it has misread.
- Questions about invented subjects are answered by abstentions.
- The base's own texts are kept by KL(before || after) per token.

This is no reinforcement, and its effect is measured apart (`metrics/align.json`).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from stages.align.rewards import Asked, plain, verdict_of
from stages.core.models.conversation import conversation_text, encode
from stages.core.records.abstention import Phrases
from stages.core.repeatable.seeding import rng_for


class Lesson(NamedTuple):
    """A row of tokens of which the end is learned."""

    tokens: list[int]
    first: int
    """Place of the first token that is learned."""


def lessons_of(
    asked: Sequence[Asked], answers: Sequence[str], phrases: Phrases, tokenizer: Any
) -> list[Lesson]:
    """Return a lesson for each question with the answer that the model gave before."""
    lessons = []
    for question, answer in zip(asked, answers, strict=True):
        begun, text = taught(question, answer, phrases)
        lessons.append(lesson(tokenizer, question.question, begun, text))
    return lessons


def taught(asked: Asked, answer: str, phrases: Phrases) -> tuple[str, str]:
    """Return the beginning of an answer that is shown, and the rest that is learned behind it."""
    if not asked.accepted:
        return "", asked.abstention
    if verdict_of(asked, answer, phrases) == "right":
        return "", asked.accepted[0]
    before, phrase, behind = split_at_phrase(asked.abstention, phrases)
    place = place_of_value(answer, before)
    if not phrase or place is None:
        return "", asked.abstention
    if plain(answer[:place]) == plain(before):
        return "", asked.accepted[0]
    return answer[:place], phrase + behind


def split_at_phrase(abstention: str, phrases: Phrases) -> tuple[str, str, str]:
    """Return what stands before the phrase in an abstention, the phrase, and what stands behind it."""
    for phrase in phrases.by_language.values():
        before, found, behind = abstention.partition(phrase)
        if found:
            return before, found, behind
    return abstention, "", ""


def place_of_value(answer: str, before: str) -> int | None:
    """Return the place in an answer at which the value begins, or None where it cannot be told.

    `before` is what stands before the value in the right form, such as `The density of iron is `. Its last
    word is looked for: of `The density of irun is 7.1` it is the place behind ` is `.
    """
    last_word = before.rstrip().rpartition(" ")[2]
    if not last_word:
        return None
    found = answer.find(f" {last_word} ")
    return None if found < 0 else found + len(last_word) + 2


def lesson(tokenizer: Any, question: str, begun: str, text: str) -> Lesson:
    """Return the tokens of a question with the answer `begun + text`, of which `text` is learned."""
    prompt, whole = conversation_text(tokenizer, question, begun + text)
    shown = prompt
    if begun:
        _, shown = conversation_text(tokenizer, question, begun.rstrip(), is_whole=False)
    tokens, shown_tokens = encode(tokenizer, [whole, shown])
    first = 0
    while first < min(len(tokens), len(shown_tokens)) and tokens[first] == shown_tokens[first]:
        first += 1
    if not (tokenizer.chat_template and tokenizer.eos_token_id in tokens[first:]):
        tokens = [*tokens, tokenizer.eos_token_id]
    return Lesson(tokens, first)


def padded(rows: Sequence[list[int]], pad: int, device: Any) -> tuple[Any, Any]:
    """Return the tokens and the attention mask (B, S) of rows, padded on the right."""
    import torch

    longest = max(len(row) for row in rows)
    tokens = torch.full((len(rows), longest), pad)
    mask = torch.zeros_like(tokens)
    for number, row in enumerate(rows):
        tokens[number, : len(row)] = torch.tensor(row)
        mask[number, : len(row)] = 1
    return tokens.to(device), mask.to(device)


def loss_of(model: Any, lessons: Sequence[Lesson], pad: int) -> Any:
    """Return the mean cross-entropy of the tokens that are learned."""
    from torch.nn import functional

    tokens, mask = padded([each.tokens for each in lessons], pad, model.device)
    labels = tokens.masked_fill(mask == 0, -100)
    for row, each in enumerate(lessons):
        labels[row, : each.first] = -100
    logits = model(input_ids=tokens, attention_mask=mask).logits[:, :-1].float()
    return functional.cross_entropy(
        logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100
    )


def kept_loss(model: Any, rows: Sequence[list[int]], pad: int) -> Any:
    """Return the mean per token of KL(before || after) on the base's own rows, by disabling the adapter."""
    import torch
    from torch.nn import functional

    tokens, mask = padded(rows, pad, model.device)
    with torch.no_grad(), model.disable_adapter():
        before = torch.log_softmax(model(input_ids=tokens, attention_mask=mask).logits.float(), -1)
    after = torch.log_softmax(model(input_ids=tokens, attention_mask=mask).logits.float(), -1)
    divergence = functional.kl_div(after, before, reduction="none", log_target=True).sum(
        -1
    )  # (B, S)
    return (divergence * mask).sum() / mask.sum()


def batches(rows: Sequence[Any], size: int, seed: int, purpose: str) -> Iterator[list[Any]]:
    """Yield batches of rows without end, every row once before any comes again."""
    rng = rng_for(seed, purpose)
    waiting: list[Any] = []
    while True:
        while len(waiting) < size:
            order = list(rows)
            rng.shuffle(order)
            waiting += order
        yield waiting[:size]
        waiting = waiting[size:]


def train(
    model: Any,
    lessons: list[Lesson],
    own: list[list[int]],
    steps: int,
    rows_per_batch: int,
    learning_rate: float,
    clip_norm: float,
    pad: int,
    seed: int,
    watch: Callable[[str, float, int], None],
) -> None:
    """Teach the lessons. Three quarters as many of the base's own rows are kept beside them in each step.

    The rate rises over the first tenth of the steps, and falls to zero along a line.
    """
    import torch
    from tqdm import tqdm

    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=learning_rate, weight_decay=0.0)
    taught_rows = batches(lessons, rows_per_batch, seed, "lessons")
    own_rows = batches(own, max(1, rows_per_batch * 3 // 4), seed, "own rows") if own else None
    rise = max(1, steps // 10)
    for step in tqdm(range(steps), desc="supervised start", unit="step", disable=None, leave=False):
        factor = min(1.0, (step + 1) / rise, (steps - step) / steps)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * factor
        loss = loss_of(model, next(taught_rows), pad)
        watch("warmup_loss", float(loss.detach()), step + 1)
        if own_rows is not None:
            loss = loss + kept_loss(model, next(own_rows), pad)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, clip_norm)
        optimizer.step()
