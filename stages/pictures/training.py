"""A small CLIP, trained from the pairs themselves: for drawings and diagrams that no checkpoint knows.

Two transformers (`CLIPModel` of transformers) turn a picture of 32 × 32 pixels and a caption into vectors of 64
numbers. Training pulls the vectors of a pair together and pushes those of different pairs apart: the symmetric
cross-entropy of Radford and others, 2021, figure 3. Unlike there, equal captions in one batch count as right for
each other's pictures. In each step every picture is moved by up to two pixels.

The tokenizer has the words of the captions it was trained with. It knows no others, and the model knows nothing
but such pictures: it is no substitute for a pretrained checkpoint where there are photographs.

Everything derives from the seed. The same pairs, settings, threads and instruction set give the same weights.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic.dataclasses import dataclass

from stages.core.project.output import write_json
from stages.core.project.params import STRICT, Run
from stages.core.records.picture import Picture
from stages.core.repeatable.seeding import derive, seed_torch
from stages.pictures import tensors
from stages.pictures.encoder import Encoder

SPECIAL = ("[PAD]", "[UNK]", "[BOS]", "[EOS]")
"""Special tokens, in the order of their ids. The end token must not be 2 (see `encoder.WRONG_END`)."""
PAD, UNKNOWN, BEGIN, END = range(4)
# A word as the tokenizer of the captions takes it: letters and digits, or one other sign.
# Examples: body-centred gives body, - and centred. 体心立方 gives one token for each character.
CHINESE = r"\u3400-\u9fff"
WORD = re.compile(rf"[{CHINESE}]|[^\W_{CHINESE}]+|[^\w\s]|_")
SHIFT = 2
"""Most pixels by which a picture is moved."""


@dataclass(frozen=True, config=STRICT)
class Training:
    """How the small model is trained. It matters only with `model: train`."""

    steps: int = 600
    """Steps of training. More fits the pairs better, and takes longer."""
    pairs_per_batch: int = 64
    """Pairs of a step, each of which is told from all others. At most as many as there are."""
    learning_rate: float = 0.002
    """Peak rate of AdamW."""
    warmup: int = 100
    """Steps of linear warm-up. Afterwards the rate falls linearly to zero."""
    weight_decay: float = 0.05
    """Decoupled weight decay of AdamW."""
    image_size: int = 32
    """Pixels of a side, to which every picture is stretched. A multiple of `patch_size`."""
    patch_size: int = 8
    """Pixels of a side of the squares that the model sees as one token each."""


def problems(settings: Training) -> list[str]:
    """Return what is wrong with the settings, each with its key below `pictures`."""
    found = []
    for name in ("steps", "pairs_per_batch", "warmup", "image_size", "patch_size"):
        if getattr(settings, name) < 1:
            found.append(f"training.{name}: {getattr(settings, name)}; write a number of 1 or more")
    if not found and settings.image_size % settings.patch_size:
        found.append(
            f"training.image_size: {settings.image_size} is no multiple of patch_size {settings.patch_size}; "
            "write one"
        )
    for name in ("learning_rate", "weight_decay"):
        if getattr(settings, name) < 0:
            found.append(f"training.{name}: {getattr(settings, name)}; write a number of 0 or more")
    return found


def trained(
    pictures: Sequence[Picture],
    captions: Sequence[str],
    settings: Training,
    run: Run,
    purpose: str = "model",
) -> Encoder:
    """Train a small CLIP with these pairs. `purpose` tells models of one run apart."""
    import torch
    from tqdm import tqdm

    seed_torch(derive(run.seed, "pictures", purpose), run.threads)
    preprocessing = tensors.Preprocessing(
        height=settings.image_size,
        width=settings.image_size,
        shortest_edge=None,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    )
    tokenizer = tokenizer_of(captions)
    model = fresh_model(len(tokenizer), longest(tokenizer, captions), settings)
    pixels = torch.from_numpy(np.stack([preprocessing.tensor(picture) for picture in pictures]))
    tokens = tokenizer(list(captions), padding=True, return_tensors="pt")
    kinds = {caption: number for number, caption in enumerate(dict.fromkeys(captions))}
    groups = torch.tensor([kinds[caption] for caption in captions])

    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, settings))
    generator = torch.Generator().manual_seed(
        derive(run.seed, "pictures", purpose, "order") % 2**63
    )
    size = min(settings.pairs_per_batch, len(captions))
    order = torch.zeros(0, dtype=torch.int64)
    model.train()
    bar = tqdm(
        range(settings.steps), desc="training on pictures", unit="step", disable=None, leave=False
    )
    for _ in bar:
        if (
            len(order) < size
        ):  # the rest of the last pass is left out, so that no batch has a pair twice
            order = torch.randperm(len(captions), generator=generator)
        chosen, order = order[:size], order[size:]
        output = model(
            input_ids=tokens["input_ids"][chosen],
            attention_mask=tokens["attention_mask"][chosen],
            pixel_values=moved(pixels[chosen], generator),
        )
        loss = contrastive_loss(output.logits_per_image, groups[chosen])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        with torch.no_grad():  # as in the paper, section 2.5: at most 100
            model.logit_scale.clamp_(0, float(np.log(100)))
    return Encoder(model.eval(), tokenizer, preprocessing)


def rate(step: int, settings: Training) -> float:
    """Return the share of the peak rate at a step."""
    if step < settings.warmup:
        return (step + 1) / settings.warmup
    left = settings.steps - step
    return max(0.0, left / max(1, settings.steps - settings.warmup))


def moved(pixels: Any, generator: Any) -> Any:
    """Return the pictures (B, 3, H, W), each moved by up to SHIFT pixels. Its edges fill the gap."""
    import torch

    padded = torch.nn.functional.pad(pixels, (SHIFT, SHIFT, SHIFT, SHIFT), mode="replicate")
    height, width = pixels.shape[2:]
    offsets = torch.randint(0, 2 * SHIFT + 1, (len(pixels), 2), generator=generator).tolist()
    windows = []
    for picture, (down, right) in zip(padded, offsets, strict=True):
        windows.append(picture[:, down : down + height, right : right + width])
    return torch.stack(windows)


def contrastive_loss(logits: Any, groups: Any) -> Any:
    """Return the symmetric cross-entropy of the similarities (B, B) of a batch, a row for each picture.

    `groups` (B,): pairs with equal captions have one number. All of them are right for each other.
    """
    import torch

    same = (groups[:, None] == groups[None, :]).float()
    wanted = same / same.sum(dim=1, keepdim=True)  # symmetric, as `same` is
    of_pictures = torch.nn.functional.cross_entropy(logits, wanted)
    of_texts = torch.nn.functional.cross_entropy(logits.T, wanted)
    return (of_pictures + of_texts) / 2


def fresh_model(words: int, positions: int, settings: Training) -> Any:
    """Return an untrained CLIP of about half a million weights."""
    from transformers import CLIPConfig, CLIPModel

    text = {
        "vocab_size": words,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": positions,
        "projection_dim": 64,
        "pad_token_id": PAD,
        "bos_token_id": BEGIN,
        "eos_token_id": END,
    }
    vision = {
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "image_size": settings.image_size,
        "patch_size": settings.patch_size,
        "projection_dim": 64,
    }
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=64))


def tokenizer_of(captions: Sequence[str]) -> Any:
    """Return a tokenizer of the words in the captions, in lower case. Other words are `[UNK]`."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = sorted({word for caption in captions for word in WORD.findall(caption.lower())})
    vocabulary = {word: number for number, word in enumerate([*SPECIAL, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=SPECIAL[UNKNOWN]))
    tokenizer.normalizer = normalizers.Lowercase()
    sign = Regex(rf"[{CHINESE}]|[^\w\s]|_")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(sign, "isolated")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{SPECIAL[BEGIN]} $A {SPECIAL[END]}",
        special_tokens=[(SPECIAL[BEGIN], BEGIN), (SPECIAL[END], END)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=SPECIAL[PAD],
        unk_token=SPECIAL[UNKNOWN],
        bos_token=SPECIAL[BEGIN],
        eos_token=SPECIAL[END],
    )


def longest(tokenizer: Any, captions: Sequence[str]) -> int:
    """Return how many positions the text tower needs: at least 32, so that other texts fit in."""
    lengths = [len(tokens) for tokens in tokenizer(list(captions))["input_ids"]]
    return max(32, *lengths)


def save(encoder: Encoder, folder: Path) -> None:
    """Save a trained model as a folder that `Encoder.load` reads, and other programs, too."""
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # of writing, which takes no time
    encoder.model.save_pretrained(folder)
    encoder.tokenizer.save_pretrained(folder)
    write_json(folder / tensors.FILE, encoder.preprocessing.document())
    # transformers notes its own version there, which is no part of the model.
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config.pop("transformers_version", None)
    write_json(folder / "config.json", config)
