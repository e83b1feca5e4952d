"""Augmentation: the identity when switched off, known answers, and seeds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from data.augmentation import (
    Augmentation,
    augment,
    cut_and_mix,
    erase_squares,
    jitter_colours,
    random_views,
    sharpen_colours,
)
from data.pixel_store import PixelStore, decode_into_store
from data.scaling import IMAGENET_MEAN, IMAGENET_STD, scaled
from errors import SubmissionError
from torch import Tensor
from torch.nn import functional as F

OFF = Augmentation(
    min_area=1.0,
    max_aspect=1.0,
    rotation_degrees=0.0,
    flip=0.0,
    brightness=0.0,
    contrast=0.0,
    saturation=0.0,
    cutmix=0.0,
    erase=0.0,
)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def images() -> Tensor:
    return torch.randint(0, 256, (5, 3, 20, 20), dtype=torch.uint8)


def test_scaling_is_torchvisions_to_tensor_and_normalize(images: Tensor) -> None:
    transforms = pytest.importorskip("torchvision.transforms.v2.functional")
    expected = transforms.normalize(
        transforms.to_dtype(images, torch.float32, scale=True),
        list(IMAGENET_MEAN),
        list(IMAGENET_STD),
    )
    torch.testing.assert_close(
        scaled(images, IMAGENET_MEAN, IMAGENET_STD), expected, rtol=1e-5, atol=1e-5
    )


def test_everything_switched_off_changes_nothing(images: Tensor) -> None:
    targets = torch.arange(5)
    views, mixed = augment(images, targets, 20, OFF, rng(), IMAGENET_MEAN, IMAGENET_STD)
    expected = scaled(images, IMAGENET_MEAN, IMAGENET_STD)
    torch.testing.assert_close(views, expected, rtol=1e-4, atol=1e-4)
    assert mixed.share == 1.0


def test_flip_alone_mirrors(images: Tensor) -> None:
    options = Augmentation(**{**vars(OFF), "flip": 1.0})
    views = random_views(images.float(), 20, options, rng())
    torch.testing.assert_close(views, images.float().flip(3), rtol=1e-4, atol=1e-2)


def test_a_crop_shows_a_part_of_the_image() -> None:
    ramp = torch.linspace(0, 1, 64).expand(4, 3, 64, 64).contiguous()
    options = Augmentation(**{**vars(OFF), "min_area": 0.3})
    views = random_views(ramp, 16, options, rng())
    spans = views[:, 0, 0, -1] - views[:, 0, 0, 0]
    assert (spans > 0.3**0.5 * 15 / 16 - 0.02).all()
    assert (spans < 0.99).all()
    assert views.is_contiguous(memory_format=torch.channels_last)


def test_contrast_turns_around_each_images_own_level() -> None:
    images = torch.randn(4, 3, 8, 8)
    before = images.clone()
    options = Augmentation(**{**vars(OFF), "contrast": 0.5})
    after = jitter_colours(images, options, rng())
    level = before.mean(dim=(1, 2, 3), keepdim=True)
    ratio = (after - level) / (before - level)
    assert ratio.std(dim=(1, 2, 3)).max() < 1e-3
    assert ratio.mean(dim=(1, 2, 3)).std() > 0.01
    torch.testing.assert_close(after.mean(dim=(1, 2, 3)), before.mean(dim=(1, 2, 3)))


def test_fine_colour_is_amplified_and_lightness_is_not(images: Tensor) -> None:
    before = images.float()
    after = sharpen_colours(before.clone(), replace(OFF, colour_detail=1.5), rng())
    luma = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    torch.testing.assert_close((after * luma).sum(1), (before * luma).sum(1), rtol=0, atol=1e-2)
    assert not torch.allclose(after, before, atol=1.0)

    # Columns of +1 and -1 in a colour without lightness: a 3 x 3 mean leaves a third of it,
    # turned round, so a detail of 4/3.
    colour = torch.tensor([1.0, -0.299 / 0.587, 0.0]).view(1, 3, 1, 1)
    stripes = colour * (1 - 2.0 * (torch.arange(12) % 2)).view(1, 1, 1, 12).expand(64, 1, 12, 12)
    drawn = torch.empty(64).uniform_(0.0, 1.5, generator=rng(3)).view(-1, 1, 1, 1)
    sharpened = sharpen_colours(stripes.clone(), replace(OFF, colour_detail=1.5), rng(3))
    inside = (..., slice(1, -1))
    expected = (stripes * (1 + drawn * 4 / 3))[inside]
    torch.testing.assert_close(sharpened[inside], expected, rtol=1e-5, atol=1e-5)


def test_one_colour_has_no_detail() -> None:
    plain = torch.rand(4, 3, 1, 1).expand(4, 3, 9, 9).clone()
    sharpened = sharpen_colours(plain.clone(), replace(OFF, colour_detail=1.5), rng())
    torch.testing.assert_close(sharpened, plain, rtol=0, atol=1e-6)


def test_erased_squares_have_the_side_that_was_asked_for() -> None:
    options = Augmentation(erase=1.0, erase_side=0.5)
    erased = erase_squares(torch.ones(50, 3, 40, 40), options, rng()) == 0
    rows = erased[:, 0].any(dim=2).sum(dim=1)
    assert rows.max() in (20, 21)
    assert (erased[:, 0] == erased[:, 2]).all()
    assert erased.any(dim=1).flatten(1).any(dim=1).all()


def test_mixed_share_is_the_share_of_the_pixels() -> None:
    images = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 3, 16, 16).contiguous()
    targets = torch.arange(6)
    mixed, labels = cut_and_mix(images.clone(), targets, Augmentation(cutmix=1.0), rng(5))
    own = (mixed == images).float().mean(dim=(1, 2, 3))
    other = labels.second != labels.first
    assert other.any()
    assert own[other].tolist() == pytest.approx([labels.share] * int(other.sum()))


def test_loss_of_a_mixture_is_cross_entropy_with_soft_targets() -> None:
    logits = torch.randn(6, 4)
    images = torch.zeros(6, 3, 8, 8)
    _, labels = cut_and_mix(images, torch.arange(6) % 4, Augmentation(cutmix=1.0), rng(1))
    soft = labels.share * F.one_hot(labels.first, 4) + (1 - labels.share) * F.one_hot(
        labels.second, 4
    )
    expected = F.cross_entropy(logits, soft.float(), label_smoothing=0.1)
    torch.testing.assert_close(labels.loss(logits, 0.1), expected)


def test_a_seed_decides_everything(images: Tensor) -> None:
    options = Augmentation(cutmix=0.5, erase=0.5)
    targets = torch.arange(5)

    def draw(seed: int) -> Tensor:
        return augment(images, targets, 12, options, rng(seed), IMAGENET_MEAN, IMAGENET_STD)[0]

    assert torch.equal(draw(3), draw(3))
    assert not torch.equal(draw(3), draw(4))


def test_store_keeps_what_is_readable_and_names_the_rest(
    class_folders: object, capsys: pytest.CaptureFixture[str]
) -> None:
    root = class_folders(classes=2, images=2, size_px=8)
    broken = root / "CLASS B" / "0.png"
    broken.write_bytes(b"broken")
    paths = sorted(root.rglob("*.png"))
    store = decode_into_store(paths, [0, 0, 1, 1], 8, workers=2, device=torch.device("cpu"))
    assert str(broken) in capsys.readouterr().err
    assert store.targets.tolist() == [0, 0, 1]
    images, targets = store.batch(torch.tensor([2, 0]), torch.device("cpu"))
    assert targets.tolist() == [1, 0]
    assert images.shape == (2, 3, 8, 8)
    assert images.is_contiguous(memory_format=torch.channels_last)
    from data.decoding import read_rgb

    assert np.array_equal(images[1].permute(1, 2, 0).numpy(), read_rgb(paths[0], 8))
    assert isinstance(store, PixelStore)


def test_nothing_readable_is_an_error(class_folders: object) -> None:
    root = class_folders(classes=2, images=1)
    paths = sorted(root.rglob("*.png"))
    for path in paths:
        path.write_bytes(b"")
    with pytest.raises(SubmissionError, match="none of the 2 images"):
        decode_into_store(paths, [0, 1], 8, workers=1, device=torch.device("cpu"))
