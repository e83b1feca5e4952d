"""The same picture to the eye, in another file."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from grader.errors import InternalFault
from grader.stages.vary_image import vary_image

SIDE_PX = 64


def _picture(mode: str) -> Image.Image:
    """Smooth, as photographs are, and not the same when mirrored."""
    x = np.linspace(20, 230, SIDE_PX)
    grey = Image.fromarray(np.add.outer(x / 3, x / 2).astype(np.uint8))
    if mode == "P":
        return grey.convert("RGB").quantize(32)
    if mode == "I;16":
        return Image.fromarray(np.add.outer(x, x).astype(np.uint16) * 128)
    if mode in ("LA", "RGBA"):
        picture = grey.convert(mode)
        picture.putalpha(Image.fromarray((np.add.outer(x, x) > 200).astype(np.uint8) * 255))
        return picture
    return grey.convert(mode)


def _encoded(picture: Image.Image, file_format: str) -> bytes:
    written = io.BytesIO()
    picture.save(written, file_format, **({"quality": 93} if file_format == "JPEG" else {}))
    return written.getvalue()


FORMS = [
    *(("PNG", mode) for mode in ("L", "RGB", "RGBA", "LA", "P", "1", "I;16")),
    ("JPEG", "L"),
    ("JPEG", "RGB"),
    ("WEBP", "RGB"),
]


@pytest.mark.parametrize(("file_format", "mode"), FORMS)
def test_alike_to_the_eye_and_to_nothing_else(file_format: str, mode: str) -> None:
    data = _encoded(_picture(mode), file_format)
    varied = vary_image(data, 7)
    before, after = Image.open(io.BytesIO(data)), Image.open(io.BytesIO(varied))
    assert after.format == before.format
    assert after.size == before.size
    shown = "I;16" if mode == "I;16" else after.mode
    one, other = (np.asarray(i.convert(shown)).astype(int) for i in (before, after))
    steps = 65535 // 255 if mode == "I;16" else 1
    assert 0 < np.abs(one - other).max() <= (1 if file_format == "PNG" else 14) * steps
    assert np.abs(one - other).mean() < 2 * steps
    assert (one != other).mean() > 0.1
    if mode in ("LA", "RGBA"):
        assert (one[..., -1] == other[..., -1]).all()


@pytest.mark.parametrize(("file_format", "mode"), FORMS)
def test_mirrored_is_the_mirror_image(file_format: str, mode: str) -> None:
    data = _encoded(_picture(mode), file_format)
    plain, mirrored = (Image.open(io.BytesIO(vary_image(data, 7, mirror=m))) for m in (False, True))
    one, other = np.asarray(plain).astype(int), np.asarray(mirrored).astype(int)
    steps = 65535 // 255 if mode == "I;16" else 1
    assert np.abs(one - np.fliplr(other)).mean() < 3 * steps
    assert np.abs(one - other).mean() > 3 * steps


def test_the_noise_follows_from_the_seed() -> None:
    data = _encoded(_picture("RGB"), "PNG")
    assert vary_image(data, 1) == vary_image(data, 1)
    assert vary_image(data, 1) != vary_image(data, 2)


def test_what_is_no_image_is_the_graders_fault() -> None:
    with pytest.raises(InternalFault):
        vary_image(b"no image", 1)
