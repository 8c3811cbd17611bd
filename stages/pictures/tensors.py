"""Pictures as tensors, as a CLIP checkpoint wants them: made by hand, so that torchvision is not needed.

The file `preprocessor_config.json` of a checkpoint says how large a picture must be and how its colours are
scaled. The arithmetic is that of the image processors of CLIP and Chinese-CLIP: the picture is resized by
bicubic interpolation, its middle is cut out, and of each channel c becomes (value / 255 - mean[c]) / std[c].
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stages.core.project.errors import InputError
from stages.core.records.picture import Picture

Array = npt.NDArray[np.float32]
FILE = "preprocessor_config.json"
BICUBIC = 3
"""The number that Pillow gives bicubic interpolation."""


class Preprocessing(NamedTuple):
    """How a checkpoint wants its pictures."""

    height: int
    width: int
    """Pixels of the tensor."""
    shortest_edge: int | None
    """Pixels of the shorter side before the middle is cut out. None: both sides are stretched."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resample: int = BICUBIC

    def tensor(self, picture: Picture) -> Array:
        """Return a picture as float32 (3, height, width)."""
        from PIL import Image

        image = Image.frombytes("RGB", (picture.columns, picture.rows), picture.pixels)
        size = self.size_of(image.width, image.height)
        image = image.resize(size, Image.Resampling(self.resample))
        left = (image.width - self.width) // 2
        top = (image.height - self.height) // 2
        image = image.crop((left, top, left + self.width, top + self.height))
        values = np.asarray(image, dtype=np.float32) / 255  # (height, width, 3)
        mean = np.asarray(self.mean, dtype=np.float32)
        std = np.asarray(self.std, dtype=np.float32)
        return np.ascontiguousarray(((values - mean) / std).transpose(2, 0, 1))

    def size_of(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height to which a picture is resized, before its middle is cut out."""
        if self.shortest_edge is None:
            return self.width, self.height
        scale = self.shortest_edge / min(width, height)
        # At least as large as what is cut out, whatever the rounding.
        return max(self.width, int(width * scale)), max(self.height, int(height * scale))

    def document(self) -> dict[str, Any]:
        """Return the content of `preprocessor_config.json`."""
        size: dict[str, int] = {"height": self.height, "width": self.width}
        if self.shortest_edge is not None:
            size = {"shortest_edge": self.shortest_edge}
        return {
            "do_center_crop": self.shortest_edge is not None,
            "crop_size": {"height": self.height, "width": self.width},
            "do_convert_rgb": True,
            "do_normalize": True,
            "do_rescale": True,
            "do_resize": True,
            "image_mean": list(self.mean),
            "image_std": list(self.std),
            "image_processor_type": "CLIPImageProcessor",
            "resample": self.resample,
            "rescale_factor": 1 / 255,
            "size": size,
        }


def read(folder: Path) -> Preprocessing:
    """Read how a checkpoint wants its pictures. Raises InputError for a file that does not say it."""
    path = folder / FILE
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        size = sides(written["size"])
        crop = sides(written["crop_size"]) if written.get("do_center_crop") else size
        mean = tuple(float(value) for value in written["image_mean"])
        std = tuple(float(value) for value in written["image_std"])
        resample = int(written.get("resample", BICUBIC))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"pictures: {path} does not say how pictures are prepared ({type(error).__name__}: {error}); "
            "copy the file from where the checkpoint comes from"
        ) from None
    if len(mean) != 3 or len(std) != 3 or 0 in std or min(*size, *crop) < 1:
        raise InputError(
            f"pictures: {path}: mean and std have three numbers each, and sizes are above 0; "
            "copy the file from where the checkpoint comes from"
        )
    keeps_shape = isinstance(written["size"], int) or "shortest_edge" in written["size"]
    return Preprocessing(
        height=crop[0],
        width=crop[1],
        shortest_edge=size[0] if keeps_shape else None,
        mean=mean,
        std=std,
        resample=resample,
    )


def sides(size: Any) -> tuple[int, int]:
    """Return height and width of a size as checkpoints write it: a number, or an object."""
    if isinstance(size, int):
        return size, size
    if "shortest_edge" in size:
        return int(size["shortest_edge"]), int(size["shortest_edge"])
    return int(size["height"]), int(size["width"])
