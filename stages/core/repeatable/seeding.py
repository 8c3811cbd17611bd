"""Random numbers as values: every generator derives from (seed, keys), never from the order of calls."""

import hashlib
import random


def derive(seed: int, *keys: str | int) -> int:
    """A 64-bit seed from the run's seed and the keys (a record id, a step name), equal on every machine."""
    text = "\x1f".join([str(seed), *(str(key) for key in keys)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def rng_for(seed: int, *keys: str | int) -> random.Random:
    """A generator of its own for one record or one purpose."""
    return random.Random(derive(seed, *keys))


def seed_torch(seed: int, threads: int) -> None:
    """Seed torch, numpy and random, pin the threads, demand deterministic kernels. Imports torch."""
    import torch
    from transformers import set_seed

    torch.set_num_threads(threads)
    set_seed(derive(seed) % 2**32)
    torch.use_deterministic_algorithms(True)
