"""Every kind of image becomes 8-bit RGB; what is no image is named."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from data.decoding import MAX_PIXELS, UnreadableImage, open_rgb, read_rgb
from PIL import Image

GREY = np.linspace(0, 255, 256, dtype=np.uint8).reshape(16, 16)


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    assert np.array_equal(read_rgb(tmp_path / "a.png", 16), np.stack([GREY] * 3, axis=-1))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_grey_keeps_its_scale(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(GREY.astype(np.uint16) * 257).save(path)
    assert np.array_equal(read_rgb(path, 16)[..., 0], GREY)


def test_palette_and_transparency_lie_on_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 255))
    image.putpixel((0, 0), (0, 0, 0, 0))
    image.save(tmp_path / "rgba.png")
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    palette.putpixel((0, 0), 0)
    palette.save(tmp_path / "palette.png", transparency=0)
    for name in ("rgba.png", "palette.png"):
        pixels = read_rgb(tmp_path / name, 4)
        assert pixels[0, 0].tolist() == [255, 255, 255], name
        assert pixels[1, 1].tolist() == [255, 0, 0], name


def test_cmyk_1_bit_and_grey_with_alpha(tmp_path: Path) -> None:
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "cmyk.tif")
    Image.new("1", (4, 4), 1).save(tmp_path / "bit.png")
    Image.new("LA", (4, 4), (0, 0)).save(tmp_path / "la.png")
    assert read_rgb(tmp_path / "cmyk.tif", 4)[0, 0].tolist() == [255, 0, 0]
    assert read_rgb(tmp_path / "bit.png", 4)[0, 0].tolist() == [255, 255, 255]
    assert read_rgb(tmp_path / "la.png", 4)[0, 0].tolist() == [255, 255, 255]


def test_float_image(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 0.5, np.float32)).save(tmp_path / "f.tif")
    assert read_rgb(tmp_path / "f.tif", 4).shape == (4, 4, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (700, 3)])
def test_thin_and_tiny_images_are_stretched(size: tuple[int, int], tmp_path: Path) -> None:
    Image.new("RGB", size, (9, 8, 7)).save(tmp_path / "a.png")
    pixels = read_rgb(tmp_path / "a.png", 32)
    assert pixels.shape == (32, 32, 3)
    assert (pixels == (9, 8, 7)).all()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_not_applied(suffix: str, orientation: int, tmp_path: Path) -> None:
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:16, :16] = 255
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = orientation
    path = tmp_path / f"a{suffix}"
    image.save(path, exif=exif)
    with Image.open(path) as stored:
        assert stored.getexif()[0x0112] == orientation
    found = np.asarray(open_rgb(path))
    assert found.shape == pixels.shape
    assert ((found > 127) == (pixels > 127)).mean() > 0.99


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5])
def test_a_cut_file_is_unreadable(suffix: str, kept: float, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(UnreadableImage):
        open_rgb(path)


def test_what_is_no_image_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("not an image")
    for path in (tmp_path / "text.jpg", tmp_path / "missing.jpg", tmp_path):
        with pytest.raises(UnreadableImage):
            open_rgb(path)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [11_000, 60_000])
def test_a_huge_image_is_refused_before_it_is_decoded(side: int, tmp_path: Path) -> None:
    assert side * side > MAX_PIXELS
    (tmp_path / "a.png").write_bytes(png_header(side, side))
    with pytest.raises(UnreadableImage, match="pixels"):
        open_rgb(tmp_path / "a.png")
