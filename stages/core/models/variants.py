"""The variants of a model: what evaluate judges, what `lore ask` can ask, what reports compare."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.core.project import artifacts
from stages.core.project.errors import ModelError

if TYPE_CHECKING:  # the module loads torch later, and tokenizers at once
    from stages.core.models.causal_lm import Answer

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


BASE = "base"
VARIANTS = (
    Variant(BASE, "before tuning"),
    Variant("train", "the tuned model"),
    Variant("align", "the aligned model"),
    Variant("distill", "the student"),
    Variant("quantize", "the student in INT8", float_form="distill"),
    Variant("quantize_train", "the tuned model in INT8", float_form="train"),
)
"""In the order in which the pipeline makes them."""
NAMES = tuple(variant.name for variant in VARIANTS)
TUNED_NAMES = NAMES[1:]
"""The variants that were trained on the records."""
STUDENT_NAMES = ("distill", "quantize")
"""The variants that are not made where distillation is left out (`distill.layers: null`)."""
ALIGN = "align"
"""The variant that is not made where alignment is left out (`align.method: null`)."""
LEFT_OUT = {"left_out": True}
"""The manifest of `models/distill` or `models/align` where that step is left out."""


def folders(
    base: Path, train: Path, align: Path, distill: Path, quantize: Path
) -> dict[str, dict[str, Any]]:
    """Return what `load_causal_lm` takes for each variant, from the output folders of the stages."""
    return {
        "base": {"folder": base / "model"},
        "train": {"folder": base / "model", "adapter": train / "adapter", "merge": True},
        "align": {"folder": base / "model", "adapter": align / "adapter", "merge": True},
        "distill": {"folder": distill},
        "quantize": {"folder": quantize / "student"},
        "quantize_train": {"folder": quantize / "train"},
    }


def is_left_out(folder: Path) -> bool:
    """Return whether distillation or alignment was left out: its output folder says so."""
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        return False
    return json.loads(manifest.read_text(encoding="utf-8")).get("left_out") is True


def present(folders: dict[str, dict[str, Any]]) -> tuple[str, ...]:
    """Return the names of the variants that the pipeline makes, in its order, from what `folders` returns.

    Where distillation or alignment was left out, its variants are not among them. A version from before
    alignment has no folder of it, and no such variant. Another folder that is missing is no reason to leave a
    variant out: `load_causal_lm` then says what is wrong.
    """
    left_out: set[str] = set()
    if is_left_out(folders["distill"]["folder"]):
        left_out.update(STUDENT_NAMES)
    if not is_aligned(folders[ALIGN]["adapter"].parent):
        left_out.add(ALIGN)
    return tuple(name for name in NAMES if name not in left_out)


def is_aligned(align: Path) -> bool:
    """Return whether an output folder of `align` holds an aligned model."""
    return align.is_dir() and not is_left_out(align)


def float_form_of(variant: Variant, names: tuple[str, ...]) -> str | None:
    """Return the variant that an INT8 variant was made of, among those that are there.

    INT8 of the tuned model is made of the aligned one, where there is one.
    """
    if variant.float_form == "train" and ALIGN in names:
        return ALIGN
    return variant.float_form


def require_present(name: str) -> None:
    """Raise ModelError where the variant is not made in the project in the working directory."""
    if name in present(folders_here()):
        return
    if name == ALIGN:
        raise ModelError(
            f"{name}: there is no aligned model, since align.method is null; ask the tuned model (train), "
            "or write align.method: ppo into params.yaml, then dvc repro"
        )
    raise ModelError(
        f"{name}: there is no student, since distill.layers is null; ask the tuned model (train), "
        "or write a number of layers into params.yaml, then dvc repro"
    )


def folders_here() -> dict[str, dict[str, Any]]:
    """Return the same for the models of the project in the working directory."""
    return folders(
        Path(artifacts.BASE),
        Path(artifacts.TRAIN),
        Path(artifacts.ALIGN),
        Path(artifacts.DISTILL),
        Path(artifacts.QUANTIZE),
    )


def answers(questions: list[str], variant: str) -> list[str]:
    """Return the texts of `answered`."""
    return [answer.text for answer in answered(questions, variant)]


def answered(questions: list[str], variant: str) -> list["Answer"]:
    """Ask a variant of the project in the working directory. The text of each answer is one line.

    Raises ModelError where the variant is not there, or was left out.
    """
    from stages.core.models import causal_lm
    from stages.core.models.conversation import prompt_text

    require_present(variant)
    model, tokenizer = causal_lm.load_causal_lm(**folders_here()[variant])
    prompts = [prompt_text(tokenizer, question) for question in questions]
    found = causal_lm.answered(model, tokenizer, prompts, MAX_NEW_TOKENS, batch=BATCH)
    return [answer._replace(text=" ".join(answer.text.split())) for answer in found]


def least_confidence(variant: str, root: Path = Path()) -> float:
    """Return the limit on confidence that `evaluate` chose for a variant of the project below `root`.

    Raises ModelError where there is none.
    """
    path = root / artifacts.EVALUATE / "manifest.json"
    limits = {}
    if path.is_file():
        limits = json.loads(path.read_text(encoding="utf-8")).get("least_confidence", {})
    if variant not in limits:
        raise ModelError(
            f"{variant}: {artifacts.EVALUATE}/manifest.json has no limit on confidence for this variant; "
            "dvc repro evaluate chooses one, where evaluate.doubt is a number and the variant answers a valid "
            "question right"
        )
    limit: float = limits[variant]
    return limit
