"""A released project whose versions have a small model that answers, each in words of its own."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from safetensors.torch import load_file, save_file

from stages.core.models.causal_lm import generate, load_causal_lm
from stages.core.models.conversation import prompt_text
from tests.lore.knowledge import Row
from tests.lore.released import Released

QUESTION = "What is the melting point of iron?"
TOKENS = 12
"""Longest answer."""


class WithStudent(Released):
    """A released project whose student is a model that can be asked."""

    said: str = ""

    def student(self, folder: Path, shift: int) -> str:
        """Lay down a student whose words are those of `folder` moved on by some ids, and return its answer."""
        target = self.root / "models/distill"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(folder, target)
        weights = load_file(target / "model.safetensors")
        # A small model with one matrix for both repeats its last token. A moved one says the next ones.
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"].roll(shift, dims=0)
        config = json.loads((target / "config.json").read_text(encoding="utf-8"))
        (target / "config.json").unlink()
        (target / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": False}))
        (target / "model.safetensors").unlink()
        save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
        model, tokenizer = load_causal_lm(target)
        prompt = prompt_text(tokenizer, QUESTION)
        (self.said,) = generate(model, tokenizer, [prompt], TOKENS, batch=1)
        return self.said

    def run(
        self,
        records: Sequence[Row],
        answers: Sequence[Row] | None = None,
        general: tuple[int, int] = (90, 100),
    ) -> None:
        """What a `dvc repro` leaves, with what the student said."""
        super().run(records, answers, general)
        path = self.root / "data/evaluate/facts.parquet"
        rows = pd.read_parquet(path)
        of_student = rows[:1].assign(variant="distill", question=QUESTION, answer=self.said)
        pd.concat([rows, of_student]).to_parquet(path, index=False)
