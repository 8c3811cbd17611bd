"""What a model finds likely, without generating: of expected answers, of general text, against the base.

- Negative log-likelihood (NLL) per token, in nats: -log p(token | tokens before it). Its exponential is the
  perplexity.
- KL(base‖tuned) per position, in nats: Σ p log(p / q) over the vocabulary, with p the base's distribution of
  the next token and q that of the variant. It foretells how much a model forgets (Shenfeld et al. 2025,
  arXiv 2509.04259).

Both models read the same token ids. A score is Σ over texts / number of tokens. Its interval is
bootstrapped over texts.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from stages.evaluate import scores
from stages.evaluate.scores import Score

WINDOW = 256
"""Most tokens that are read at once."""
LOGITS = 2**25
"""Most numbers of one batch of logits (rows × tokens × vocabulary). 2**25 take 128 MiB in float32."""


class Window(NamedTuple):
    """A row of tokens, of which some are judged."""

    ids: list[int]
    first: int
    """Position of the first token that is judged. It is at least 1: the first token has nothing before it."""
    text: int
    """Number of the text that it is a part of."""


def windows_of(texts: Sequence[list[int]], longest: int) -> list[Window]:
    """Cut token ids of texts into windows. Each window begins with the last token of the one before.

    So every token but the first of a text is judged once.
    """
    windows = []
    for number, ids in enumerate(texts):
        for start in range(0, len(ids) - 1, longest - 1):
            windows.append(Window(ids[start : start + longest], 1, number))
    return windows


def answer_window(prompt: list[int], whole: list[int], number: int) -> Window | None:
    """Return the row of a prompt with its answer, of which the answer is judged. None without an answer.

    Prompt and whole text are tokenized apart, so the last token of the prompt may be another one in the
    whole text. What is judged begins where they differ.
    """
    first = 0
    while first < min(len(prompt), len(whole)) and prompt[first] == whole[first]:
        first += 1
    first = max(first, 1)
    if first >= len(whole):
        return None
    return Window(whole, first, number)


def longest_of(model: Any) -> int:
    """Return the number of tokens that a window may have."""
    positions = getattr(model.config, "max_position_embeddings", None) or WINDOW
    return min(WINDOW, int(positions))


def negative_log_likelihood(model: Any, windows: list[Window], seed: int) -> Score | None:
    """Return the mean NLL per judged token. None without a token."""
    import torch

    sums = []
    for chosen, ids, mask in batches(model, windows):
        log_p = log_probabilities(model, ids, mask)
        # Position i foretells token i + 1.
        nll = -log_p[:, :-1].gather(2, ids[:, 1:, None])[:, :, 0]  # (B, T - 1)
        for row, window in enumerate(chosen):
            judged = nll[row, window.first - 1 : len(window.ids) - 1]
            sums.append((window.text, float(judged.sum(dtype=torch.float64)), len(judged)))
    return per_token(sums, seed)


def divergence(base: Any, tuned: Any, windows: list[Window], seed: int) -> Score | None:
    """Return the mean KL(base‖tuned) over all positions of the windows. None without a window."""
    import torch

    sums = []
    for chosen, ids, mask in batches(base, windows):
        log_p = log_probabilities(base, ids, mask)
        log_q = log_probabilities(tuned, ids.to(tuned.device), mask.to(tuned.device))
        kl = (log_p.exp() * (log_p - log_q.to(log_p.device))).sum(dim=2)  # (B, T)
        for row, window in enumerate(chosen):
            judged = kl[row, : len(window.ids)]
            sums.append((window.text, float(judged.sum(dtype=torch.float64)), len(judged)))
    return per_token(sums, seed)


def log_probabilities(model: Any, ids: Any, mask: Any) -> Any:
    """Return log p of every next token: (B, T) ids → (B, T, V) in float32."""
    import torch

    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=mask).logits
    return torch.log_softmax(logits.float(), dim=2)


def batches(model: Any, windows: list[Window]) -> Iterator[tuple[list[Window], Any, Any]]:
    """Yield windows with their ids and mask (B, T), padded on the right, windows of like length together."""
    import torch

    ordered = sorted(windows, key=lambda window: (len(window.ids), window.text, window.ids))
    vocabulary = int(model.config.vocab_size)
    start = 0
    while start < len(ordered):
        # The windows grow longer, so this counts too little at most. Twice the length bounds it.
        size = max(1, LOGITS // (2 * len(ordered[start].ids) * vocabulary))
        chosen = ordered[start : start + size]
        if len(chosen[-1].ids) > 2 * len(chosen[0].ids):
            chosen = [window for window in chosen if len(window.ids) <= 2 * len(chosen[0].ids)]
        start += len(chosen)
        longest = len(chosen[-1].ids)
        ids = torch.zeros(len(chosen), longest, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, window in enumerate(chosen):
            ids[row, : len(window.ids)] = torch.tensor(window.ids)
            mask[row, : len(window.ids)] = 1
        yield chosen, ids.to(model.device), mask.to(model.device)


def per_token(sums: list[tuple[int, float, int]], seed: int) -> Score | None:
    """Return Σ / tokens of (text, sum, tokens), bootstrapped over texts. `n` is the number of tokens."""
    tokens = sum(count for _, _, count in sums)
    if tokens == 0:
        return None
    # In the order of the texts: batches must not decide what a resample draws.
    ordered = sorted(sums)
    values = np.array([[total, count] for _, total, count in ordered])  # (windows, 2)
    of_text = scores.by_cluster(values, [text for text, _, _ in ordered])
    score = scores.bootstrap(of_text, scores.ratio, seed)
    score["n"] = tokens
    return score
