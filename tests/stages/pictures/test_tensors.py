"""Pictures as tensors: sizes, colours, and the same numbers as transformers' own processor."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stages.core.project.errors import InputError
from stages.core.records.picture import Picture
from stages.pictures import tensors

CLIP = {
    "do_center_crop": True,
    "crop_size": {"height": 24, "width": 24},
    "image_mean": [0.48, 0.45, 0.4],
    "image_std": [0.26, 0.26, 0.27],
    "resample": 3,
    "size": {"shortest_edge": 24},
}


def noise(width: int, height: int) -> Picture:
    values = np.random.default_rng(5).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Picture("n.png", "", "PNG", width, height, width, height, values.tobytes())


def written(folder: Path, document: Any) -> Path:
    (folder / tensors.FILE).write_text(json.dumps(document))
    return folder


@pytest.mark.parametrize(("width", "height"), [(40, 30), (30, 57), (24, 24), (9, 70)])
def test_a_tensor_is_that_of_transformers(tmp_path: Path, width: int, height: int) -> None:
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    own = tensors.read(written(tmp_path, CLIP))
    picture = noise(width, height)
    image = Image.frombytes("RGB", (width, height), picture.pixels)
    theirs = CLIPImageProcessorPil(
        size={"shortest_edge": 24}, crop_size=24, image_mean=own.mean, image_std=own.std
    )(image, return_tensors="np")["pixel_values"][0]
    made = own.tensor(picture)
    assert made.shape == (3, 24, 24)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, theirs, atol=1e-5)


def test_a_size_of_two_sides_stretches_the_picture(tmp_path: Path) -> None:
    document = CLIP | {"size": {"height": 10, "width": 14}, "do_center_crop": False}
    assert tensors.read(written(tmp_path, document)).tensor(noise(50, 8)).shape == (3, 10, 14)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    for edge in (None, 32):
        made = tensors.Preprocessing(28, 28, edge, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
        assert tensors.read(written(tmp_path, made.document())) == made


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        CLIP | {"image_mean": None},
        CLIP | {"size": {"longest_edge": 3}},
        CLIP | {"size": "large"},
    ],
)
def test_a_file_that_does_not_say_it_is_refused(tmp_path: Path, document: Any) -> None:
    with pytest.raises(InputError, match="does not say how pictures are prepared"):
        tensors.read(written(tmp_path, document))


@pytest.mark.parametrize("change", [{"image_std": [0, 1, 1]}, {"image_mean": [0.5]}])
def test_numbers_that_cannot_be_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="mean and std have three numbers each"):
        tensors.read(written(tmp_path, CLIP | change))
