"""The small CLIP: its loss, its tokenizer, its end token, and that it learns."""

import math

import pytest
import torch

from stages.core.project.params import Run
from stages.pictures import training
from stages.pictures.training import Training
from tests.stages.pictures.toy import COLOURS, CORNERS, square


def test_the_loss_is_that_of_the_paper() -> None:
    logits = torch.tensor([[2.0, 0.0], [1.0, 3.0]])
    of_pictures = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(-2))) / 2
    of_texts = (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(-3))) / 2
    found = training.contrastive_loss(logits, torch.tensor([0, 1]))
    assert float(found) == pytest.approx((of_pictures + of_texts) / 2, rel=1e-6)


def test_pairs_with_one_caption_do_not_push_each_other_away() -> None:
    logits = torch.tensor([[5.0, 5.0, 0.0], [5.0, 5.0, 0.0], [0.0, 0.0, 5.0]])
    together = training.contrastive_loss(logits, torch.tensor([0, 0, 1]))
    apart = training.contrastive_loss(logits, torch.tensor([0, 1, 2]))
    # Sharing one place between two leaves log 2 for each of them.
    assert float(together) == pytest.approx(float(apart), rel=1e-5)
    better = torch.tensor([[5.0, 0.0, 0.0], [0.0, 5.0, 0.0], [0.0, 0.0, 5.0]])
    wanted = training.contrastive_loss(better, torch.tensor([0, 0, 1]))
    assert float(wanted) > float(together)


def test_the_end_token_is_read_where_a_text_ends() -> None:
    tokenizer = training.tokenizer_of(["a red square"])
    assert tokenizer.eos_token_id == training.END != 2
    tokens = tokenizer(["a red square", "red"], padding=True)["input_ids"]
    assert [row.index(training.END) for row in tokens] == [4, 2]
    assert tokens[1][-2:] == [training.PAD, training.PAD]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Body-centred cubic.", ["body", "-", "centred", "cubic", "."]),
        ("铁的bcc晶格", ["铁", "的", "bcc", "晶", "格"]),
        ("a_b (x)", ["a", "_", "b", "(", "x", ")"]),
    ],
)
def test_words_are_cut_as_the_vocabulary_is(text: str, words: list[str]) -> None:
    tokenizer = training.tokenizer_of([text])
    assert tokenizer.tokenize(text) == words
    assert tokenizer(text)["input_ids"].count(training.UNKNOWN) == 0
    assert training.UNKNOWN in tokenizer("helium")["input_ids"]


def test_the_rate_rises_and_falls() -> None:
    settings = Training(steps=10, warmup=4)
    rates = [training.rate(step, settings) for step in range(10)]
    assert rates[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert 0 < rates[-1] < 0.2


def test_a_moved_picture_keeps_its_size() -> None:
    pixels = torch.arange(2 * 3 * 8 * 8, dtype=torch.float32).reshape(2, 3, 8, 8)
    made = training.moved(pixels, torch.Generator().manual_seed(1))
    assert made.shape == pixels.shape
    assert not torch.equal(made, pixels)


def test_it_learns_which_caption_belongs_to_which_picture() -> None:
    pictures, captions = [], []
    for colour in COLOURS:
        for corner in CORNERS:
            pictures.append(square(colour, corner))
            captions.append(f"a {colour} square at the {corner}")
    settings = Training(steps=240, pairs_per_batch=16, warmup=20, image_size=16)
    encoder = training.trained(pictures, captions, settings, Run(threads=1))
    similarity = encoder.pictures(pictures) @ encoder.texts(captions).T
    right = (similarity.argmax(axis=1) == range(16)).mean()
    assert right >= 0.8
