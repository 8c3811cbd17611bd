"""Texts that the base writes itself, from its begin token: what it knows, in the shares in which it knows it.

A model's own texts stand in for the ones that it was trained on (pseudo-rehearsal: Robins 1995; for large
models: Liu et al. 2023, "LLM-QAT", arXiv 2305.17888).
"""

from typing import Any

from stages.core.models.conversation import opening_tokens

AT_ONCE = 512
"""Texts that are written at once."""


def write(teacher: Any, tokenizer: Any, count: int, max_tokens: int, seed: int) -> list[str]:
    """Return the texts, without the empty ones. The base is the teacher without its adapter.

    They are drawn from the base's own probabilities (temperature 1), by the seed.
    """
    import torch

    if count == 0:
        return []
    opening = opening_tokens(tokenizer) or [tokenizer.bos_token_id or tokenizer.eos_token_id]
    torch.manual_seed(seed)
    texts = []
    for start in range(0, count, AT_ONCE):
        rows = min(AT_ONCE, count - start)
        ids = torch.tensor([opening] * rows, device=teacher.device)
        with torch.inference_mode(), teacher.disable_adapter():
            output = teacher.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=max_tokens - len(opening),
                do_sample=True,
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                pad_token_id=tokenizer.pad_token_id,
            )
        texts += tokenizer.batch_decode(output, skip_special_tokens=True)
    written = [text.strip() for text in texts]
    return [text for text in written if text]
