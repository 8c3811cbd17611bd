"""A CLIP-family checkpoint: pictures and texts become vectors that are compared by their cosine.

Radford and others, Learning Transferable Visual Models From Natural Language Supervision, 2021. Any model of
transformers that has `get_image_features` and `get_text_features` will do: CLIP, Chinese-CLIP, SigLIP …
Only safetensors are loaded, and no code that a checkpoint brings along.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.core.models.checkpoint import Checkpoint
from stages.core.project.errors import InputError
from stages.core.records.picture import Picture
from stages.pictures import tensors

Array = npt.NDArray[np.float32]
CHECKPOINT = Checkpoint(
    "pictures",
    "a folder with a CLIP model, or a name on the hub such as openai/clip-vit-base-patch32",
    {
        "config.json": ("config.json",),
        tensors.FILE: (tensors.FILE,),
        "tokenizer": ("tokenizer.json", "vocab.txt", "vocab.json"),
    },
    "a CLIP model",
    "pictures.model: it must have a tower for pictures and one for texts",
)
BATCH = 64
"""Pictures, or texts, that are encoded together."""
WRONG_END = 2
"""With this `eos_token_id`, transformers reads a text's vector at its highest token id, for the sake of old
checkpoints, and not at its end token (`modeling_clip.py`, `CLIPTextTransformer.forward`)."""


class Encoder:
    """A checkpoint that is loaded."""

    def __init__(self, model: Any, tokenizer: Any, preprocessing: tensors.Preprocessing) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.preprocessing = preprocessing

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> "Encoder":
        """Load a checkpoint. Raises InputError where it cannot be used."""
        import torch
        from transformers import AutoModel, AutoTokenizer

        preprocessing = tensors.read(folder)
        model, tokenizer = CHECKPOINT.load(folder, AutoModel, AutoTokenizer)
        for name in ("get_image_features", "get_text_features"):
            if not hasattr(model, name):
                raise InputError(
                    f"pictures: {folder} is a {type(model).__name__}, which has no {name}; "
                    "pictures.model names a CLIP model, which encodes pictures and texts"
                )
        refuse_wrong_end(model, tokenizer, folder)
        if device == "auto" and torch.cuda.is_available():
            model = model.to("cuda")
        return cls(model, tokenizer, preprocessing)

    def pictures(self, pictures: Sequence[Picture]) -> Array:
        """Return the vectors of pictures, each of length 1: float32 (N, D)."""
        import torch

        encoded = []
        for start in range(0, len(pictures), BATCH):
            batch = [self.preprocessing.tensor(p) for p in pictures[start : start + BATCH]]
            pixels = torch.from_numpy(np.stack(batch)).to(self.model.device)  # (B, 3, H, W)
            with torch.inference_mode():
                features = self.model.get_image_features(pixel_values=pixels)
            encoded.append(unit_vectors(features))
        return joined(encoded)

    def texts(self, texts: Sequence[str]) -> Array:
        """Return the vectors of texts, each of length 1: float32 (N, D). Longer ones are cut off."""
        import torch

        longest = self.model.config.text_config.max_position_embeddings
        encoded = []
        for start in range(0, len(texts), BATCH):
            tokens = self.tokenizer(
                list(texts[start : start + BATCH]),
                padding=True,
                truncation=True,
                max_length=longest,
                return_tensors="pt",
            ).to(self.model.device)
            with torch.inference_mode():
                features = self.model.get_text_features(
                    input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
                )
            encoded.append(unit_vectors(features))
        return joined(encoded)


def refuse_wrong_end(model: Any, tokenizer: Any, folder: Path) -> None:
    """Raise InputError for a CLIP model whose texts would be read at the wrong token.

    OpenAI's checkpoints have `eos_token_id: 2` and are read rightly, because their end token has the highest id.
    """
    text_config = model.config.text_config
    is_clip = text_config.model_type == "clip_text_model"
    if not is_clip or text_config.eos_token_id != WRONG_END:
        return
    if tokenizer.eos_token_id != text_config.vocab_size - 1:
        raise InputError(
            f"pictures: {folder}: text_config.eos_token_id is 2, and the tokenizer's end token is "
            f"{tokenizer.eos_token_id}: transformers would read the vector of a text at its highest token, "
            "not at its end; write the tokenizer's number into config.json, or train the model with another"
        )


def unit_vectors(features: Any) -> Array:
    """Return features with length 1: float32 (N, D)."""
    # transformers 5 returns the projected features as `pooler_output`, earlier versions as they are.
    projected = getattr(features, "pooler_output", features)
    scaled = projected / projected.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    return np.asarray(scaled.float().cpu().numpy(), dtype=np.float32)


def joined(parts: list[Array]) -> Array:
    """Return the rows of all parts, or no row where there is no part."""
    return np.concatenate(parts) if parts else np.zeros((0, 0), dtype=np.float32)
