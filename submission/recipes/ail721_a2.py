"""AIL721 assignment 2: ResNet 6n+2 on 100 butterfly and moth species, and masks from its input
gradients, without any training on masks."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from data.augmentation import Augmentation
from data.class_folders import TestImage, list_test_images
from data.decoding import UnreadableImage, open_rgb, stretched
from data.label_files import write_labels
from data.pixel_store import NothingReadable, PixelStore, decode_into_store
from data.scaling import IMAGENET_MEAN, IMAGENET_STD, scaled
from data.splits import hash_split, split_stratified
from errors import SubmissionError
from explain.layer_attribution import attribute_layers
from models.folding import fold_batch_norm
from models.loading import ClassNames, find_class_names, load_network
from models.resnet import ResNet, ResNetConfig, count_layers, count_parameters
from options import list_training_files, require_at_least, require_learning_rate
from segmentation.mask_files import resized, write_mask
from segmentation.subject import mask_side_px, segment
from training.devices import choose_compute, make_deterministic
from training.distributed import join_group, leave_group
from training.files import make_folder, sha256
from training.loop import Run, Settings
from training.plan import Budget, Plan, Stage, usable_seconds

NAME = "ail721_a2"
COURSE_MINUTES = 60.0

PLANS = {
    # A GPU takes hundreds of epochs within the hour; most at a side where crops stay sharp.
    "long": Plan(
        stages=(
            Stage(size_px=128, store_px=160, share=0.55, batch_size=128),
            Stage(size_px=176, store_px=224, share=0.25, batch_size=128),
            Stage(size_px=224, store_px=224, share=0.20, batch_size=128),
        ),
        peak_learning_rate=0.1,
    ),
    # Two CPU cores take a dozen in three hours: small images first, where an epoch costs a
    # twentieth, and batches of 32, because steps are what a dozen epochs lack. The last ones only
    # get the network used to larger images.
    "short": Plan(
        stages=(
            Stage(size_px=48, store_px=64, share=0.30, batch_size=32),
            Stage(size_px=64, store_px=96, share=0.20, batch_size=32),
            Stage(size_px=72, store_px=96, share=0.25, batch_size=32, crop_px=64),
            Stage(size_px=96, store_px=128, share=0.15, batch_size=32),
            Stage(size_px=128, store_px=144, share=0.07, batch_size=32, crop_px=112),
            Stage(size_px=224, store_px=224, share=0.03, batch_size=32, crop_px=192),
        ),
        peak_learning_rate=0.1,
    ),
}
# What a plan's epochs suffice for: a network that has learnt at 64 px is better there than after a
# few more epochs at 128 px.
SIDES_PX = {"long": 224, "short": 72}
AUGMENTATIONS = {
    "strong": Augmentation(
        min_area=0.25, rotation_degrees=30.0, colour_detail=1.5, erase=0.25, cutmix=0.3
    ),
    "light": Augmentation(
        min_area=0.5, rotation_degrees=15.0, colour_detail=1.5, erase=0.0, cutmix=0.0
    ),
}
# A dozen epochs from random weights do not suffice to learn from cut and mixed images.
DEFAULT_AUGMENTATIONS = {"long": "strong", "short": "light"}


# --------------------------------------------------------------------------- train


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("train_dir", type=Path, metavar="TRAIN_DIR", help="class folders")
    parser.add_argument(
        "checkpoint_dir", type=Path, metavar="CHECKPOINT_DIR", help="where the results go"
    )
    parser.add_argument("--n", type=int, default=2, help="6n+2 layers (default 2)")
    parser.add_argument("--classes", type=int, help="r; must equal the number of class folders")
    parser.add_argument("--epochs", type=int, help="end after so many epochs")
    parser.add_argument(
        "--minutes",
        type=float,
        help=f"end within so many minutes (default {COURSE_MINUTES:g} without --epochs)",
    )
    parser.add_argument("--seed", type=int, default=0)
    sides = ", ".join(f"{side} with the plan {name}" for name, side in SIDES_PX.items())
    parser.add_argument("--size", type=int, help=f"final image side in pixels (default: {sides})")
    parser.add_argument(
        "--first-size",
        type=int,
        default=0,
        help="leave the plan's stages of smaller images out (for a run with --start-from)",
    )
    parser.add_argument("--resume", action="store_true", help="go on where a run was stopped")
    parser.add_argument(
        "--start-from",
        type=Path,
        metavar="CHECKPOINT",
        help="begin with these weights, of the same network and classes, instead of random ones",
    )
    parser.add_argument("--batch-size", type=int, help="images a step and process")
    parser.add_argument("--lr", type=float, help="peak learning rate for a batch of 64")
    parser.add_argument("--plan", choices=sorted(PLANS), help="default: long on a GPU")
    parser.add_argument(
        "--augmentation",
        choices=sorted(AUGMENTATIONS),
        help="how far images are changed (default: strong with the plan long, light with short)",
    )
    parser.add_argument(
        "--holdout",
        type=float,
        default=0.03,
        help="share of each class held out to choose the weights by (default 0.03; 0: none)",
    )
    parser.add_argument("--device", help="cpu or cuda (default: cuda where there is one)")
    parser.add_argument("--threads", type=int, help="CPU threads")


def train(arguments: argparse.Namespace) -> None:
    """Class folders in; resnet_model.pth, metadata.json, curves.csv and curves.png out."""
    _check_train_arguments(arguments)
    files = list_training_files(arguments)
    classes = len(files.class_names)
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    make_folder(arguments.checkpoint_dir)
    group = join_group(arguments.device)
    compute = choose_compute(arguments.device, group.local_rank)
    make_deterministic(arguments.seed)
    plan_name = arguments.plan or ("long" if compute.device.type == "cuda" else "short")
    size_px = SIDES_PX[plan_name] if arguments.size is None else arguments.size
    plan = PLANS[plan_name].ending_at(size_px).starting_at(arguments.first_size)
    if arguments.batch_size is not None:
        plan = plan.with_batch_size(arguments.batch_size)
    if arguments.lr is not None:
        plan = replace(plan, peak_learning_rate=arguments.lr)
    minutes = arguments.minutes
    if minutes is None and arguments.epochs is None:
        minutes = COURSE_MINUTES
    augmentation = AUGMENTATIONS[arguments.augmentation or DEFAULT_AUGMENTATIONS[plan_name]]
    train_indices, held_out_indices = split_stratified(
        files.targets, arguments.holdout, arguments.seed
    )
    settings = Settings(
        plan=plan,
        budget=Budget(arguments.epochs, None if minutes is None else usable_seconds(minutes)),
        augmentation=augmentation,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        seed=arguments.seed,
        images=hash_split(
            *(
                (arguments.train_dir, [(files.paths[i], files.targets[i]) for i in indices])
                for indices in (train_indices, held_out_indices)
            )
        ),
    )

    def decode(indices: Sequence[int], size_px: int) -> PixelStore:
        return decode_into_store(
            [files.paths[index] for index in indices],
            [files.targets[index] for index in indices],
            size_px,
            workers=torch.get_num_threads(),
            device=compute.device,
        )

    def stores(store_px: int, size_px: int) -> tuple[PixelStore, PixelStore | None]:
        return decode(train_indices, store_px), decode_held_out(size_px)

    def decode_held_out(size_px: int) -> PixelStore | None:
        if not held_out_indices:
            return None
        try:
            return decode(held_out_indices, size_px)
        except NothingReadable as error:
            print(
                f"warning: held-out images: {error}; nothing is held out, and the last weights "
                "are kept",
                file=sys.stderr,
            )
            return None

    config = ResNetConfig(n=arguments.n, num_classes=classes, size_px=size_px)
    network = ResNet(config)
    started_from = None
    if arguments.start_from is not None:
        started_from = _start_from(arguments.start_from, network, files.class_names)
    metadata = {
        "recipe": NAME,
        **config.to_json(),
        "class_names": list(files.class_names),
        "mean": list(IMAGENET_MEAN),
        "std": list(IMAGENET_STD),
        "seed": arguments.seed,
        "started_from_sha256": started_from,
        "device": compute.describe(),
        "torch": torch.__version__,
        "plan": asdict(plan),
        "augmentation": asdict(augmentation),
    }
    if group.is_first:
        print(
            f"{len(train_indices)} images to train on, {len(held_out_indices)} held out, "
            f"{classes} classes; {count_layers(network)} layers, "
            f"{count_parameters(network):,} parameters; {compute.describe()}",
            flush=True,
        )
    run = Run(
        network,
        settings,
        stores,
        compute,
        group,
        arguments.checkpoint_dir,
        metadata,
        began=arguments.began,
    )
    if arguments.resume and not run.resume() and group.is_first:
        print(f"{arguments.checkpoint_dir}: nothing to resume, so this run starts anew")
    run.train()
    leave_group(group)


def _start_from(checkpoint: Path, network: ResNet, class_names: Sequence[str]) -> str:
    """Copy the checkpoint's weights into `network`; its sha256.

    Raises SubmissionError for another network, or for other classes or another order of them.
    """
    loaded = load_network(checkpoint, checkpoint.parent)
    theirs, ours = loaded.network.config, network.config
    if (theirs.n, theirs.num_classes) != (ours.n, ours.num_classes):
        raise SubmissionError(
            f"{checkpoint}: is a network with n = {theirs.n} for {theirs.num_classes} classes; "
            f"this run is about n = {ours.n} and {ours.num_classes} classes"
        )
    names = loaded.metadata.get("class_names", class_names)
    if list(names) != list(class_names):
        raise SubmissionError(
            f"{checkpoint}: its outputs belong to other classes than the class folders, or to the "
            "same in another order"
        )
    try:
        network.load_state_dict(loaded.network.state_dict())
    except RuntimeError as error:
        raise SubmissionError(f"{checkpoint}: {error}") from error
    return sha256(checkpoint.read_bytes())


def _check_train_arguments(arguments: argparse.Namespace) -> None:
    lowest = {"n": 1, "size": 16, "batch_size": 1, "threads": 1, "seed": 0}
    require_at_least(arguments, lowest)
    require_learning_rate(arguments.lr)
    if arguments.minutes is not None and not 0 < arguments.minutes < math.inf:
        raise SubmissionError(f"--minutes {arguments.minutes:g}: more than 0 is expected")
    if not 0 <= arguments.holdout < 1:
        raise SubmissionError(f"--holdout {arguments.holdout}: from 0 to below 1 is expected")


# --------------------------------------------------------------------------- evaluate


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="a state_dict")
    parser.add_argument(
        "test_dir", type=Path, metavar="TEST_IMAGES_DIR", help="images, or class folders of them"
    )
    parser.add_argument(
        "--classes",
        type=Path,
        help="class names: JSON, a text file or a folder of class folders "
        "(default: metadata.json or class_labels.json beside the checkpoint)",
    )
    parser.add_argument("--device", help="cpu or cuda (default: cuda where there is one)")
    parser.add_argument("--batch-size", type=int, default=8)


@dataclass(frozen=True)
class _Opened:
    """A test image as the network takes it and as its mask is made, and the size that the mask
    must have."""

    pixels: npt.NDArray[np.uint8]  # (size_px, size_px, 3)
    fine: npt.NDArray[np.uint8]  # (mask_side_px, mask_side_px, 3)
    width_px: int
    height_px: int


def evaluate(arguments: argparse.Namespace) -> None:
    """Write submission.csv and seg_maps/ into the working directory; print the accuracy when
    class folders give the labels."""
    require_at_least(arguments, {"batch_size": 1})
    images = list_test_images(arguments.test_dir)
    compute = choose_compute(arguments.device, 0)
    program_folder = Path(__file__).resolve().parent.parent
    loaded = load_network(arguments.checkpoint, program_folder)
    classes = find_class_names(
        loaded,
        arguments.checkpoint,
        program_folder,
        given=arguments.classes,
        test_folders=sorted({image.label for image in images if image.label is not None}),
    )
    network = fold_batch_norm(loaded.network)
    network = network.to(compute.device, memory_format=torch.channels_last)
    mask_folder = Path("seg_maps")
    make_folder(mask_folder)
    predicted: dict[str, str] = {}
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for start in range(0, len(images), arguments.batch_size):
            batch = images[start : start + arguments.batch_size]
            opened = list(pool.map(lambda image: _open(image, loaded.size_px), batch))
            readable = [(image, found) for image, found in zip(batch, opened, strict=True) if found]
            if not readable:
                continue
            pixels = np.stack([found.pixels for _, found in readable])
            tensor = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(compute.device)
            inputs = scaled(tensor, loaded.mean, loaded.std)
            logits, heatmaps = attribute_layers(network, inputs)
            targets = logits.argmax(1)
            fine = [found.fine for _, found in readable]
            masks = pool.map(segment, fine, heatmaps.cpu().numpy())
            for (image, found), mask in zip(readable, masks, strict=True):
                _save_mask(mask, found, mask_folder / image.name)
            for (image, _), target in zip(readable, targets.tolist(), strict=True):
                predicted[image.name] = classes.names[target]
    write_labels(images, predicted)
    _report(images, predicted, classes)


def _open(image: TestImage, size_px: int) -> _Opened | None:
    try:
        whole = open_rgb(image.path)
    except UnreadableImage as error:
        print(f"warning: {image.path}: skipped, unreadable: {error}", file=sys.stderr)
        return None
    return _Opened(
        np.asarray(stretched(whole, size_px)),
        np.asarray(stretched(whole, mask_side_px(size_px))),
        whole.width,
        whole.height,
    )


def _save_mask(mask: npt.NDArray[np.bool_], opened: _Opened, path: Path) -> None:
    """At the image's own size."""
    try:
        write_mask(resized(mask, opened.height_px, opened.width_px), path)
    except OSError as error:
        raise SubmissionError(f"{path}: cannot be written ({error.strerror or error})") from error


def _report(images: Sequence[TestImage], predicted: Mapping[str, str], classes: ClassNames) -> None:
    print(
        f"{len(predicted)} of {len(images)} images predicted; wrote submission.csv and seg_maps/ "
        f"(class names from {classes.source})"
    )
    labelled = [image for image in images if image.label in classes.names]
    if labelled:
        correct = sum(predicted.get(image.name) == image.label for image in labelled)
        print(
            f"classification accuracy: {100 * correct / len(labelled):.2f} % "
            f"({correct} of {len(labelled)})"
        )
