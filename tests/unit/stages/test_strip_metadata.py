"""Copies without metadata: the same pixels for Pillow and OpenCV, and nothing of the secret."""

from __future__ import annotations

import io
import struct
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps, PngImagePlugin

from grader.stages.strip_metadata import strip_metadata

SECRET = b"TROPICAL LEAFWING"
NOISE = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)


def secret_exif(orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = SECRET.decode()  # ImageDescription
    return exif.tobytes()


def written(format_name: str, mode: str = "RGB", **options: Any) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(NOISE).convert(mode)
    image.save(file, format_name, **options)
    return file.getvalue()


def pillow(data: bytes) -> tuple[str, np.ndarray]:
    with Image.open(io.BytesIO(data)) as image:
        return image.mode, np.asarray(image)


def opencv(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def png_text() -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", SECRET.decode())
    info.add_itxt("Label", SECRET.decode(), zip=True)
    return info


def sixteen_bit_png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(NOISE[..., 0].astype(np.uint16) * 257).save(file, "PNG")
    return file.getvalue()


JPEGS = {
    "plain": written("JPEG"),
    "grey": written("JPEG", "L"),
    "cmyk with Adobe's marker": written("JPEG", "CMYK"),
    "rgb kept": written("JPEG", keep_rgb=True),
    "progressive": written("JPEG", progressive=True),
    "restart markers": written("JPEG", restart_marker_rows=1),
    "4:4:4": written("JPEG", subsampling=0),
    "exif": written("JPEG", exif=secret_exif()),
    "comment": written("JPEG", comment=SECRET),
    "profile": written("JPEG", icc_profile=SECRET * 9000),
    "xmp": written("JPEG", xmp=SECRET),
    "tail": written("JPEG") + SECRET,
    "dots": written("JPEG", dpi=(300, 72)),
}
PNGS = {
    "plain": written("PNG"),
    "16 bit": sixteen_bit_png(),
    "grey": written("PNG", "L"),
    "1 bit": written("PNG", "1"),
    "palette": written("PNG", "P"),
    "palette with transparency": written("PNG", "P", transparency=3),
    "grey with alpha": written("PNG", "LA"),
    "alpha": written("PNG", "RGBA"),
    "text": written("PNG", pnginfo=png_text()),
    "exif": written("PNG", exif=secret_exif()),
    "profile": written("PNG", icc_profile=SECRET),
    "tail": written("PNG") + SECRET,
}
WEBPS = {
    "lossy": written("WEBP"),
    "lossless": written("WEBP", lossless=True),
    "alpha": written("WEBP", "RGBA", lossless=True),
    "lossy alpha": written("WEBP", "RGBA"),
    "exif": written("WEBP", exif=secret_exif()),
    "profile and xmp": written("WEBP", icc_profile=SECRET, xmp=SECRET),
    "tail": written("WEBP") + SECRET,
}
KEPT = {
    f"{format_name} {name}": data
    for format_name, files in (("JPEG", JPEGS), ("PNG", PNGS), ("WEBP", WEBPS))
    for name, data in files.items()
}


@pytest.mark.parametrize("name", KEPT)
def test_pixels_are_the_same_and_the_secret_is_gone(name: str) -> None:
    data = KEPT[name]
    stripped = strip_metadata(data)
    assert stripped.suffix is None
    assert SECRET not in stripped.data
    mode, pixels = pillow(stripped.data)
    assert mode == pillow(data)[0]
    assert (pixels == pillow(data)[1]).all()
    assert (opencv(stripped.data) == opencv(data)).all()
    with Image.open(io.BytesIO(stripped.data)) as image:
        assert not image.getexif()
        assert not {"comment", "icc_profile", "xmp", "exif", "Title", "Label"} & set(image.info)


@pytest.mark.parametrize("name", KEPT)
def test_stripping_twice_changes_nothing_more(name: str) -> None:
    once = strip_metadata(KEPT[name])
    assert strip_metadata(once.data) == once


def test_two_files_that_differ_in_metadata_only_become_one() -> None:
    assert strip_metadata(JPEGS["exif"]).data == strip_metadata(JPEGS["comment"]).data
    assert strip_metadata(PNGS["text"]).data == strip_metadata(PNGS["plain"]).data
    assert strip_metadata(JPEGS["plain"]).data == JPEGS["plain"]


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_an_image_that_has_to_be_turned_is_turned_for_good(
    format_name: str, orientation: int
) -> None:
    data = written(format_name, exif=secret_exif(orientation))
    stripped = strip_metadata(data)
    assert stripped.suffix == ".png"
    assert SECRET not in stripped.data
    with Image.open(io.BytesIO(data)) as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    assert (pillow(stripped.data)[1] == upright).all()
    assert (opencv(stripped.data)[..., ::-1] == upright).all()


@pytest.mark.parametrize(
    ("format_name", "mode"),
    [("BMP", "RGB"), ("BMP", "L"), ("GIF", "P"), ("TIFF", "RGB"), ("TIFF", "CMYK"), ("TIFF", "1")],
)
def test_other_formats_become_png(format_name: str, mode: str) -> None:
    data = written(format_name, mode)
    stripped = strip_metadata(data)
    assert stripped.suffix == ".png"
    with Image.open(io.BytesIO(data)) as image:
        original = np.asarray(image.convert("RGB"))
    with Image.open(io.BytesIO(stripped.data)) as image:
        assert image.format == "PNG"
        assert (np.asarray(image.convert("RGB")) == original).all()


def test_transparency_of_a_palette_is_kept() -> None:
    first_index = int(np.asarray(Image.fromarray(NOISE).convert("P"))[0, 0])
    data = written("GIF", "P", transparency=first_index)
    stripped = strip_metadata(data)
    with Image.open(io.BytesIO(data)) as image, Image.open(io.BytesIO(stripped.data)) as copy:
        assert (np.asarray(image.convert("RGBA")) == np.asarray(copy.convert("RGBA"))).all()
        assert np.asarray(copy.convert("RGBA"))[0, 0, 3] == 0


def test_thumbnails_extensions_and_false_adobe_markers_are_dropped() -> None:
    plain = JPEGS["plain"]
    jfif_end = 2 + 2 + 16
    thumbnail = b"\xff\xe0" + struct.pack(">H", 10 + len(SECRET)) + b"JFXX\0\x10xx" + SECRET
    false_adobe = b"\xff\xee" + struct.pack(">H", 2 + len(SECRET)) + SECRET
    fill = b"\xff\xff"
    extended = plain[:jfif_end] + thumbnail + fill + false_adobe + plain[jfif_end:]
    assert strip_metadata(extended).data == plain
    in_jfif = bytearray(plain)
    in_jfif[4:6] = struct.pack(">H", 16 + 3)
    in_jfif[18:20] = b"\1\1"  # a thumbnail of one pixel
    with_pixel = bytes(in_jfif[:20]) + b"abc" + bytes(in_jfif[20:])
    assert strip_metadata(with_pixel).data == plain


def test_of_an_animation_the_first_frame_is_left() -> None:
    frames = [Image.fromarray(NOISE), Image.fromarray(255 - NOISE)]
    for format_name in ("PNG", "WEBP", "GIF", "TIFF"):
        file = io.BytesIO()
        frames[0].save(file, format_name, save_all=True, append_images=frames[1:], lossless=True)
        stripped = strip_metadata(file.getvalue())
        assert stripped.suffix == ".png"
        with Image.open(io.BytesIO(stripped.data)) as image:
            assert getattr(image, "n_frames", 1) == 1
            first = np.asarray(image.convert("RGB")).astype(int)
        assert np.abs(first - NOISE).mean() < 30  # GIF has 256 colours


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no image",
        JPEGS["plain"][:100],
        JPEGS["plain"][:-2],
        PNGS["plain"][:-12],
        PNGS["plain"][:200],
        WEBPS["lossy"][:200],
        WEBPS["lossy"][:12] + b"VP8X\xff\xff\xff\x00" + WEBPS["lossy"][12:],
        b"RIFF\xff\xff\0\0" + WEBPS["lossy"][8:] + b"EXIF\xff\xff\0\0",
        JPEGS["exif"][:24] + b"\xff\xfe\xff\xff" + JPEGS["exif"][24:400],
        b"\x93NUMPY\x01\x00\x46\x00{'descr': '|u1', 'fortran_order': False, 'shape': (1, 1), }",
    ],
)
def test_what_is_no_whole_image_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        strip_metadata(data)


def test_floating_point_pixels_are_refused() -> None:
    file = io.BytesIO()
    Image.new("F", (3, 3)).save(file, "TIFF")
    with pytest.raises(ValueError, match="floating-point"):
        strip_metadata(file.getvalue())


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(sorted(KEPT)),
    st.lists(st.tuples(st.integers(0, 100_000), st.integers(0, 255)), min_size=1, max_size=5),
)
def test_damaged_images_are_copied_or_refused(name: str, changes: list[tuple[int, int]]) -> None:
    data = bytearray(KEPT[name])
    for place, value in changes:
        data[place % len(data)] = value
    try:
        stripped = strip_metadata(bytes(data))
    except ValueError:
        return
    assert stripped.data
