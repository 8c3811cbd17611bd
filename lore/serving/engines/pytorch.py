"""The engine that always works: the models of the stages, with continuous batching.

Answers are those of `stages.core.models.causal_lm.continued`: greedy, padded on the left. Here a row may
also join while others are being written. Its prompt is run alone, and its keys and values are put beside
those of the others (Yu et al., "Orca: A Distributed Serving System for Transformer-Based Generative Models",
OSDI 2022, selective joining at every iteration).
"""

from pathlib import Path
from typing import Any

from lore.serving.engines.engine import Job, StatsSink
from lore.serving.engines.worker import Worker


class TorchEngine:
    """A model of a folder, in PyTorch."""

    name = "torch"

    def __init__(
        self, folder: Path, adapter: Path | None, most: int, stats: StatsSink, threads: int
    ) -> None:
        """Load the model. `most` answers are written at once. Raises ModelError as `load_causal_lm`."""
        from stages.core.models.causal_lm import load_causal_lm

        model, tokenizer = load_causal_lm(folder, adapter, merge=adapter is not None)

        def make() -> TorchBatch:
            import torch

            torch.set_num_threads(threads)
            return TorchBatch(model, tokenizer.pad_token_id)

        self._worker = Worker(make, most, stats)

    def submit(self, job: Job) -> None:
        """Queue a job."""
        self._worker.submit(job)

    def close(self) -> None:
        """End the thread and free the model."""
        self._worker.close()


class TorchBatch:
    """Answers that are written together: their cache of keys and values, and what each row is at."""

    def __init__(self, model: Any, padding: int) -> None:
        self._model = model
        self._padding = padding
        self._jobs: list[Job] = []
        self._size = 0
        self._written: list[int] = []
        """By row: tokens of the answer so far."""
        self._cache: Any = None
        self._mask: Any = None
        """(A, T): 0 on the padding."""
        self._positions: Any = None
        """(A, 1): the place of each row's next token."""
        self._unseen: Any = None
        """(A, 1): each row's newest token, which is not in the cache yet."""
        self._log_p: Any = None
        """(A,): the log-probability of each row's newest token, in nats."""

    def takes_more(self) -> bool:
        """Return whether caches can be put beside each other: all layers are plain ones."""
        return self._cache is None or is_plain(self._cache)

    def size(self) -> int:
        """Return how many answers the last step wrote at."""
        return self._size

    def add(self, jobs: list[Job]) -> None:
        """Run the prompts of jobs, and put them beside the rows at work."""
        import torch

        longest = max(len(job.prompt) for job in jobs)
        rows = []
        masks = []
        for job in jobs:
            left = longest - len(job.prompt)
            rows.append([self._padding] * left + job.prompt)
            masks.append([0] * left + [1] * len(job.prompt))
        device = self._model.device
        tokens = torch.tensor(rows, device=device)  # (N, P)
        mask = torch.tensor(masks, device=device)  # (N, P)
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
        newest, log_p, cache = self._forward(tokens, mask, positions, None)
        mask = torch.cat([mask, torch.ones_like(newest)], dim=1)
        positions = positions[:, -1:] + 1
        if self._jobs:
            cache = side_by_side(self._cache, cache)
            mask = torch.cat(padded([self._mask, mask], dim=1))
            positions = torch.cat([self._positions, positions])
            newest = torch.cat([self._unseen, newest])
            log_p = torch.cat([self._log_p, log_p])
        self._cache, self._mask, self._positions = cache, mask, positions
        self._unseen, self._log_p = newest, log_p
        self._jobs = self._jobs + jobs
        self._written = self._written + [0] * len(jobs)

    def step(self) -> list[Job]:
        """Hand out each row's newest token, drop the rows that end with it, and write the next ones.

        Returns the jobs that ended.
        """
        import torch

        self._size = len(self._jobs)
        ended = []
        log_p = self._log_p.tolist()
        for row, token in enumerate(self._unseen[:, 0].tolist()):
            job = self._jobs[row]
            self._written[row] += 1
            job.log_p = (job.log_p or 0.0) + log_p[row]
            if job.on_tokens([token]) or self._written[row] >= job.most:
                ended.append(job)
        self.drop(ended)
        if self._jobs:
            newest, self._log_p, self._cache = self._forward(
                self._unseen, self._mask, self._positions, self._cache
            )
            self._unseen = newest
            self._mask = torch.cat([self._mask, torch.ones_like(newest)], dim=1)
            self._positions = self._positions + 1
        return ended

    def drop(self, jobs: list[Job]) -> None:
        """Take the rows of jobs out of the batch."""
        import torch

        kept = [row for row, job in enumerate(self._jobs) if job not in jobs]
        if len(kept) == len(self._jobs):
            return
        self._jobs = [self._jobs[row] for row in kept]
        self._written = [self._written[row] for row in kept]
        if not kept:
            self._cache = self._mask = self._positions = self._unseen = self._log_p = None
            return
        going_on = torch.tensor(kept, device=self._unseen.device)
        self._cache.batch_select_indices(going_on)
        self._mask = self._mask[going_on]
        self._positions = self._positions[going_on]
        self._unseen = self._unseen[going_on]
        self._log_p = self._log_p[going_on]
        self._cut_padding()

    def _cut_padding(self) -> None:
        """Cut the padding that all rows have on the left.

        The longest row made it, and that row may have ended. Under a load that never pauses, rows always join, and
        without the cut their padding would grow by one with every step.
        """
        if not is_plain(self._cache):
            return
        padding = int(self._mask.argmax(dim=1).min())  # argmax: the place of a row's first 1
        if padding == 0:
            return
        self._mask = self._mask[:, padding:]
        for layer in self._cache.layers:
            layer.keys = layer.keys[:, :, padding:]
            layer.values = layer.values[:, :, padding:]

    def _forward(self, tokens: Any, mask: Any, positions: Any, cache: Any) -> tuple[Any, Any, Any]:
        """Return each row's next token (A, 1), its log-probability (A,), and the cache with `tokens` (A, N) in it."""
        import torch

        with torch.inference_mode():
            output = self._model(
                input_ids=tokens,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            logits = output.logits[:, -1].float()  # (A, V)
            newest = logits.argmax(dim=-1, keepdim=True)
            log_p = logits.amax(dim=-1) - logits.logsumexp(dim=-1)
        return newest, log_p, output.past_key_values


def is_plain(cache: Any) -> bool:
    """Return whether every layer keeps the keys and values of all tokens, and nothing else."""
    from transformers.cache_utils import DynamicLayer

    return all(type(layer) is DynamicLayer for layer in cache.layers)


def side_by_side(first: Any, second: Any) -> Any:
    """Return a cache with the rows of both, the shorter one padded on the left.

    Both are caches of plain layers. `first` is changed.
    """
    import torch

    for one, other in zip(first.layers, second.layers, strict=True):
        one.keys = torch.cat(padded([one.keys, other.keys], dim=2))  # (A + N, heads, T, size)
        one.values = torch.cat(padded([one.values, other.values], dim=2))
    return first


def padded(tensors: list[Any], dim: int) -> list[Any]:
    """Return the tensors with zeros before their beginning along `dim`, so that they are of one length."""
    import torch

    longest = max(tensor.shape[dim] for tensor in tensors)
    result = []
    for tensor in tensors:
        shape = list(tensor.shape)
        shape[dim] = longest - shape[dim]
        zeros = torch.zeros(shape, dtype=tensor.dtype, device=tensor.device)
        result.append(torch.cat([zeros, tensor], dim=dim))
    return result
