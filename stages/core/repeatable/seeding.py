"""Random numbers as values: every generator derives from (seed, keys), never from the order of calls."""

import hashlib
import random


def derive(seed: int, *keys: str | int) -> int:
    """Derive a 64-bit seed from the run's seed and keys (a record id, a step name), equal on every machine."""
    parts = [str(seed)]
    for key in keys:
        parts.append(str(key))
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big")


def rng_for(seed: int, *keys: str | int) -> random.Random:
    """Return a generator of its own for one record or one purpose."""
    return random.Random(derive(seed, *keys))


def seed_torch(seed: int, threads: int) -> None:
    """Seed torch, numpy and random, fix the number of threads, demand deterministic kernels. Imports torch."""
    import torch
    from transformers import set_seed

    torch.set_num_threads(threads)
    set_seed(derive(seed) % 2**32)  # numpy takes 32 bits
    torch.use_deterministic_algorithms(True)
