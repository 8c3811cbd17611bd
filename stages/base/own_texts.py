"""Texts that the base writes from nothing: what it knows, in the shares in which it knows it.

A model's own texts stand in for the ones that it was trained on (pseudo-rehearsal: Robins 1995; for large
models: Liu et al. 2023, "LLM-QAT", arXiv 2305.17888). They show knowledge that no prompt asks for.
"""

from collections import Counter
from typing import Any

from stages.core.models.conversation import opening_tokens

AT_ONCE = 512
"""Texts that are written at once."""


def write(
    model: Any, tokenizer: Any, count: int, max_new_tokens: int, seed: int
) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Let the model write `count` texts behind its begin token. Returns rows of replay.jsonl.

    The texts are drawn from the model's own probabilities (temperature 1), by the seed. Left out are texts
    that are empty or written before. The counter has a number for each of these reasons.
    """
    import torch

    rows: list[dict[str, Any]] = []
    left_out: Counter[str] = Counter()
    if count == 0:
        return rows, left_out
    opening = opening_tokens(tokenizer) or [tokenizer.bos_token_id or tokenizer.eos_token_id]
    torch.manual_seed(seed)
    texts: list[str] = []
    for start in range(0, count, AT_ONCE):
        size = min(AT_ONCE, count - start)
        ids = torch.tensor([opening] * size, device=model.device)
        with torch.inference_mode():
            output = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=max_new_tokens,
                do_sample=True,
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                pad_token_id=tokenizer.pad_token_id,
            )
        texts += tokenizer.batch_decode(output, skip_special_tokens=True)
    seen: set[str] = set()
    for number, written in enumerate(texts):
        text = written.strip()
        if not text:
            left_out["empty"] += 1
        elif text in seen:
            left_out["written before"] += 1
        else:
            seen.add(text)
            rows.append({"id": f"own.{number}", "text": text})
    return rows, left_out
