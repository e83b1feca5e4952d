"""Masks in every encoding: what is understood as foreground, what it is called, what is refused."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageFile

from grader.readers.image_header import ImageHeader
from grader.readers.mask_pixels import MaskPixels, RefusedMaskError, decode_mask

# Pillow grumbles about damaged TIFF tags before it refuses them.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

Mask = npt.NDArray[np.bool_]
Encode = Callable[..., bytes]
SUFFIXES = {"PNG": "png", "JPEG": "jpg", "BMP": "bmp", "GIF": "gif", "TIFF": "tif", "WEBP": "webp"}


def foreground(pixels: MaskPixels) -> Mask:
    levels = np.frombuffer(pixels.levels, np.uint8).reshape(pixels.height_px, pixels.width_px)
    return levels > pixels.threshold


def iou(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / (one | other).sum())


def read(data: bytes, name: str = "a.png") -> tuple[Mask, str, tuple[str, ...]]:
    pixels = decode_mask(data, name)
    return foreground(pixels), pixels.rule, pixels.quirks


def of_levels(shape: Mask, low: int, high: int, dtype: str = "u1") -> npt.NDArray[Any]:
    return np.where(shape, high, low).astype(dtype)


@pytest.mark.parametrize("format_name", sorted(SUFFIXES))
@pytest.mark.parametrize("channels", ["grey", "RGB", "1 bit"])
def test_plain_masks_in_every_format(
    shape: Mask, encode: Encode, format_name: str, channels: str
) -> None:
    if channels == "1 bit":
        if format_name == "JPEG":
            return  # knows no bits
        data = encode(shape, format_name)
    elif channels == "grey":
        data = encode(of_levels(shape, 0, 255), format_name)
    else:
        data = encode(np.stack([of_levels(shape, 0, 255)] * 3, -1), format_name)
    mask, _, quirks = read(data, f"a.{SUFFIXES[format_name]}")
    assert iou(mask, shape) > 0.999
    assert set(quirks) <= {"mask.palette"}  # GIF has nothing else


def test_a_course_mask_is_read_without_a_word(shape: Mask, encode: Encode) -> None:
    """Three channels of JPEG with grey edges, as the course itself ships them."""
    data = encode(np.stack([of_levels(shape, 0, 255)] * 3, -1), "JPEG", quality=75)
    grey = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
    assert len(np.unique(grey)) > 2
    mask, rule, quirks = read(data, "a.jpg")
    assert (mask == (grey > 127)).all()
    assert (rule, quirks) == ("luminance > 127", ())


@pytest.mark.parametrize(
    ("low", "high", "dtype", "mode", "rule", "quirks"),
    [
        (0, 1, "u1", None, "grey level > 0, because the highest is 1", ["mask.zero-one"]),
        (0, 254, "u1", None, "grey level > 127", ["mask.wrap-around"]),
        (127, 128, "u1", None, "grey level > 127", []),
        (0, 65535, "u2", None, "16-bit value > 32767", ["mask.sixteen-bit"]),
        (0, 255, "u2", None, "16-bit value > 127", ["mask.sixteen-bit"]),
        (0, 1, "u2", None, "16-bit value > 0, because the highest is 1",
         ["mask.sixteen-bit", "mask.zero-one"]),
        (0, 255, "u1", "P", "luminance > 127", ["mask.palette"]),
        (0, 255, "u1", "LA", "grey level > 127", []),
        (0, 255, "u1", "RGBA", "luminance > 127", []),
    ],
)  # fmt: skip
def test_levels_in_png(
    shape: Mask,
    encode: Encode,
    low: int,
    high: int,
    dtype: str,
    mode: str | None,
    rule: str,
    quirks: list[str],
) -> None:
    mask, said, noted = read(encode(of_levels(shape, low, high, dtype), "PNG", mode))
    assert (mask == shape).all()
    assert (said, list(noted)) == (rule, quirks)


@pytest.mark.parametrize("quality", [75, 85, 95, 100])
def test_zero_and_one_survive_jpeg(shape: Mask, encode: Encode, quality: int) -> None:
    mask, rule, quirks = read(encode(of_levels(shape, 0, 1), "JPEG", quality=quality), "a.jpg")
    assert iou(mask, shape) > 0.9
    assert "> 0" in rule
    assert quirks == ("mask.zero-one",)


def test_float_and_32_bit_tiff(shape: Mask, encode: Encode) -> None:
    mask, rule, quirks = read(encode(of_levels(shape, 0, 1, "f4") * 0.8, "TIFF"), "a.tif")
    assert (mask == shape).all()
    assert (rule, quirks) == ("value > 0.5, because the highest is 0.8", ("mask.sixteen-bit",))
    for highest, threshold in ((1, 0), (255, 127), (65535, 32767)):
        mask, rule, _ = read(encode(of_levels(shape, 0, highest, "i4"), "TIFF"), "a.tif")
        assert (mask == shape).all()
        assert rule == f"value > {threshold}, because the highest is {highest}"


@pytest.mark.parametrize(
    ("highest", "dtype", "format_name"),
    [(26001, "u2", "PNG"), (100, "i4", "TIFF"), (26001, "i4", "TIFF"), (0.4, "f4", "TIFF")],
)
def test_values_below_the_threshold_are_told(
    shape: Mask, encode: Encode, highest: float, dtype: str, format_name: str
) -> None:
    data = encode((shape * highest).astype(dtype), format_name)
    mask, _, quirks = read(data, f"a.{SUFFIXES[format_name]}")
    assert not mask.any()
    assert quirks == ("mask.sixteen-bit", "mask.low-contrast")
    black = encode((shape * 0).astype(dtype), format_name)
    assert "mask.low-contrast" not in read(black, f"a.{SUFFIXES[format_name]}")[2]


def test_colours_are_judged_by_luminance_and_told(shape: Mask, encode: Encode) -> None:
    viridis = np.where(shape[..., None], [253, 231, 37], [68, 1, 84]).astype(np.uint8)
    mask, rule, quirks = read(encode(viridis, "PNG"))
    assert (mask == shape).all()
    assert (rule, quirks) == ("luminance > 127", ("mask.colours",))
    red = np.where(shape[..., None], [255, 0, 0], [0, 0, 0]).astype(np.uint8)
    mask, _, quirks = read(encode(red, "PNG"))
    assert not mask.any()
    assert quirks == ("mask.colours", "mask.low-contrast")


def test_cmyk_is_read_as_the_colours_that_it_prints(shape: Mask, encode: Encode) -> None:
    mask, rule, _ = read(encode(of_levels(shape, 0, 255), "JPEG", "CMYK"), "a.jpg")
    assert iou(mask, shape) > 0.99
    assert rule == "luminance > 127"


def test_alpha_counts_only_where_the_colour_says_nothing(shape: Mask, encode: Encode) -> None:
    level = of_levels(shape, 0, 255)
    black = np.zeros_like(level)
    mask, rule, quirks = read(encode(np.stack([black, black, black, level], -1), "PNG"))
    assert (mask == shape).all()
    assert (rule, quirks) == ("alpha > 127", ("mask.alpha",))
    mask, rule, quirks = read(encode(np.stack([level, level, level, 255 - level], -1), "PNG"))
    assert (mask == shape).all()
    assert (rule, quirks) == ("luminance > 127", ("mask.alpha",))


def test_a_heatmap_is_thresholded_and_told(encode: Encode) -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (50, 1))
    mask, _, quirks = read(encode(ramp, "PNG"))
    assert mask.sum() == 50 * 128
    assert quirks == ("mask.not-binary",)


def test_of_several_frames_the_first_counts(shape: Mask) -> None:
    frames = [Image.fromarray(of_levels(m, 0, 255)) for m in (shape, ~shape)]
    for format_name in ("GIF", "TIFF", "WEBP", "PNG"):
        written = io.BytesIO()
        frames[0].save(written, format_name, save_all=True, append_images=frames[1:])
        mask, _, quirks = read(written.getvalue(), f"a.{SUFFIXES[format_name]}")
        assert iou(mask, shape) > 0.99, format_name
        assert "mask.animated" in quirks


@pytest.mark.parametrize("dtype", ["?", "u1", "u2", "i4", "i8", "f4", "f8", ">f8", ">u2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays(shape: Mask, dtype: str, order: str) -> None:
    written = io.BytesIO()
    np.save(written, np.asarray(shape.astype(dtype), order=order))  # type: ignore[call-overload]
    mask, rule, quirks = read(written.getvalue(), "a.npy")
    assert (mask == shape).all()
    assert rule.startswith("value > 0.5" if "f" in dtype else "value > 0")
    assert "mask.array" in quirks


def test_an_array_shorter_than_it_says(shape: Mask) -> None:
    written = io.BytesIO()
    np.save(written, shape)
    with pytest.raises(RefusedMaskError, match="10799 bytes of data for 10800 values"):
        decode_mask(written.getvalue()[:-1], "a.npy")


def test_nan_is_background(shape: Mask) -> None:
    written = io.BytesIO()
    np.save(written, np.where(shape, 1.0, np.nan))
    assert (read(written.getvalue(), "a.npy")[0] == shape).all()


@pytest.mark.parametrize(
    ("array", "code"),
    [
        (np.zeros((3, 4), "f2"), "mask.unsupported"),
        (np.zeros((3, 4), "c8"), "mask.unsupported"),
        (np.full((3, 4), 70_000), "mask.unsupported"),
        (np.full((3, 4), np.inf), "mask.unsupported"),
        (np.array([{}], dtype=object), "mask.not-an-image"),
    ],
)
def test_arrays_that_are_not_read(array: npt.NDArray[Any], code: str) -> None:
    written = io.BytesIO()
    np.save(written, array, allow_pickle=True)
    with pytest.raises(RefusedMaskError) as caught:
        decode_mask(written.getvalue(), "a.npy")
    assert caught.value.code == code


def test_a_name_that_contradicts_the_content_is_told(shape: Mask, encode: Encode) -> None:
    mask, _, quirks = read(encode(of_levels(shape, 0, 255), "JPEG"), "a.png")
    assert iou(mask, shape) > 0.99
    assert quirks == ("mask.renamed-format",)


@pytest.mark.parametrize(
    ("claim", "code"),
    [
        ((50_000, 50_000, 1, 0), "mask.too-large"),
        ((13_000, 13_000, 8, 0), "mask.too-large"),
        ((9_400, 9_400, 16, 6), "mask.too-large"),
        ((2**31 - 1, 2**31 - 1, 8, 6), "mask.too-large"),
    ],
)
def test_bombs_are_refused_by_their_header(
    png_claim: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
    claim: tuple[int, ...],
    code: str,
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("the decoder was started")

    monkeypatch.setattr(Image, "open", never)
    with pytest.raises(RefusedMaskError) as caught:
        decode_mask(png_claim(*claim), "a.png")
    assert caught.value.code == code


def test_a_size_that_only_pillow_sees_is_refused_before_decoding(
    shape: Mask, encode: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = ImageHeader("PNG", 1, 1, 1, 8)
    monkeypatch.setattr("grader.readers.mask_pixels.parse_image_header", lambda _: small)
    with pytest.raises(RefusedMaskError, match="it claims 120 × 90 pixels; it was not decoded"):
        decode_mask(encode(of_levels(shape, 0, 255), "PNG"), "a.png", max_pixels=100)


def test_a_decoder_out_of_memory_refuses_the_file(
    shape: Mask, encode: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def starved(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", starved)
    with pytest.raises(RefusedMaskError, match="takes more memory than a mask may") as caught:
        decode_mask(encode(of_levels(shape, 0, 255), "PNG"), "a.png")
    assert caught.value.code == "mask.too-large"


def test_a_small_claim_with_too_few_or_too_many_pixels(png_claim: Callable[..., bytes]) -> None:
    assert not read(png_claim(100, 100, 8, 0))[0].any()  # a megabyte of zeros for 10,000 pixels
    with pytest.raises(RefusedMaskError) as caught:
        decode_mask(png_claim(4000, 4000, 8, 0), "a.png")
    assert caught.value.code == "mask.damaged"


@pytest.mark.parametrize(
    ("format_name", "options"),
    [
        ("PNG", {}),
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("GIF", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_a_file_cut_anywhere_is_refused_or_whole(
    encode: Encode, format_name: str, options: dict[str, Any]
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (16, 16), dtype=np.uint8)
    data = encode(noise, format_name, **options)
    name = f"a.{SUFFIXES[format_name]}"
    whole = decode_mask(data, name)
    refused: list[str] = []
    for length in range(len(data)):
        try:
            cut = decode_mask(data[:length], name)
        except RefusedMaskError as error:
            refused.append(error.code)
        else:
            assert cut.levels == whole.levels, length
            assert format_name != "PNG" or "mask.no-end-marker" in cut.quirks
    assert set(refused) == {"mask.empty-file", "mask.not-an-image", "mask.damaged"}
    assert len(refused) > 0.9 * len(data)


def test_png_checksums_are_looked_at(shape: Mask, encode: Encode) -> None:
    data = encode(of_levels(shape, 0, 255), "PNG")
    start = data.index(b"IDAT")
    for offset in range(start, len(data) - 12, 7):
        flipped = bytearray(data)
        flipped[offset] ^= 0x10
        with pytest.raises(RefusedMaskError, match=r"checksum|does not decode"):
            decode_mask(bytes(flipped), "a.png")


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(sorted(SUFFIXES)),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6),
    st.integers(0, 400),
)
def test_damaged_files_are_masks_or_refused(
    format_name: str, changes: list[tuple[int, int]], extra: int
) -> None:
    written = io.BytesIO()
    Image.effect_noise((24, 18), 90).save(written, format_name)
    data = bytearray(written.getvalue())
    for place, value in changes:
        data[place % len(data)] = value
    with contextlib.suppress(RefusedMaskError):
        pixels = decode_mask(bytes(data) + bytes(extra), "a.png")
        assert len(pixels.levels) == pixels.width_px * pixels.height_px


@settings(deadline=None)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_the_stated_rule_is_what_happens(levels: npt.NDArray[np.uint8]) -> None:
    written = io.BytesIO()
    Image.fromarray(levels).save(written, "PNG")
    pixels = decode_mask(written.getvalue(), "a.png")
    threshold = 0 if levels.max() == 1 else 127
    assert (foreground(pixels) == (levels > threshold)).all()
    assert f"> {threshold}" in pixels.rule


def test_truncated_files_are_not_filled_up_behind_our_back() -> None:
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
