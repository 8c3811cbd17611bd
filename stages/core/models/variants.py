"""The variants of a model: what evaluate judges, what `lore ask` can ask, what reports compare."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.project import artifacts

MAX_NEW_TOKENS = 64
"""Tokens of an answer to a single question."""
BATCH = 32
"""Questions that are answered at once."""


@dataclass(frozen=True)
class Variant:
    """One form of the model."""

    name: str
    meaning: str
    float_form: str | None = None
    """The variant that this one is the INT8 form of."""


VARIANTS = (
    Variant("base", "before tuning"),
    Variant("train", "the tuned model"),
    Variant("distill", "the student"),
    Variant("quantize", "the student in INT8", float_form="distill"),
    Variant("quantize_train", "the tuned model in INT8", float_form="train"),
)
"""In the order in which the pipeline makes them."""
NAMES = tuple(variant.name for variant in VARIANTS)
TUNED_NAMES = NAMES[1:]
"""The variants that were trained on the records."""


def folders(base: Path, train: Path, distill: Path, quantize: Path) -> dict[str, dict[str, Any]]:
    """Return what `load_causal_lm` takes for each variant, from the output folders of the stages."""
    return {
        "base": {"folder": base / "model"},
        "train": {"folder": base / "model", "adapter": train / "adapter", "merge": True},
        "distill": {"folder": distill},
        "quantize": {"folder": quantize / "student"},
        "quantize_train": {"folder": quantize / "train"},
    }


def folders_here() -> dict[str, dict[str, Any]]:
    """Return the same for the models of the project in the working directory."""
    return folders(
        Path(artifacts.BASE),
        Path(artifacts.TRAIN),
        Path(artifacts.DISTILL),
        Path(artifacts.QUANTIZE),
    )


def answers(questions: list[str], variant: str) -> list[str]:
    """Ask a variant of the project in the working directory; each answer is one line.

    Raises ModelError where the variant is not there.
    """
    from stages.core.models.causal_lm import generate, load_causal_lm
    from stages.core.models.conversation import prompt_text

    model, tokenizer = load_causal_lm(**folders_here()[variant])
    prompts = [prompt_text(tokenizer, question) for question in questions]
    generated = generate(model, tokenizer, prompts, MAX_NEW_TOKENS, batch=BATCH)
    return [" ".join(answer.split()) for answer in generated]
