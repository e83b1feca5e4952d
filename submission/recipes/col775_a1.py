"""COL775 assignment 1: ResNet 6n+2 on birds with six normalisations, and Grad-CAM of the best."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from data.augmentation import Augmentation
from data.class_folders import (
    LabelledFiles,
    TestImage,
    list_class_folders,
    list_test_images,
    require_folder,
)
from data.decoding import UnreadableImage, read_rgb
from data.label_files import write_labels
from data.pixel_store import PixelStore, decode_into_store
from data.scaling import IMAGENET_MEAN, IMAGENET_STD, scaled
from data.splits import hash_split, split_stratified
from errors import SubmissionError
from explain.grad_cam import mean_grad_cam
from models.loading import LoadedNetwork, find_class_names, load_network
from models.resnet import (
    ResNet,
    ResNetConfig,
    count_layers,
    count_parameters,
    last_stage_layers,
)
from models.variants import GROUPS, NORMS, norm_layer
from options import list_training_files, require_at_least, require_learning_rate
from training.devices import Compute, choose_compute, make_deterministic
from training.distributed import Group, join_group, leave_group
from training.files import make_folder
from training.loop import Run, Settings, Watch
from training.measure import Measured
from training.plan import Budget, Plan, Stage

NAME = "col775_a1"
WIDTHS = (16, 32, 64)
SIZE_PX = 256
EPOCHS = 50
LEARNING_RATE = 1e-4
BATCH_SIZE = 32
HELD_OUT = 0.2  # of the training images, where no validation folder is found
VALIDATION_NAMES = ("val", "valid", "validation")


@dataclass(frozen=True)
class Experiment:
    """One training of the assignment. Those of section 2.6 stop early."""

    norm: str
    batch_size: int = BATCH_SIZE
    stops_early: bool = False


EXPERIMENTS = {norm: Experiment(norm) for norm in NORMS} | {
    f"{norm}-batch{size}": Experiment(norm, size, stops_early=True)
    for norm in ("bn", "gn")
    for size in (8, 128)
}
AUGMENTATION = Augmentation(
    min_area=0.6, rotation_degrees=10.0, brightness=0.15, contrast=0.15, saturation=0.15, erase=0.0
)


# --------------------------------------------------------------------------- train


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("train_dir", type=Path, metavar="TRAIN_DIR", help="class folders")
    parser.add_argument(
        "checkpoint_dir", type=Path, metavar="CHECKPOINT_DIR", help="gets a folder an experiment"
    )
    parser.add_argument(
        "--experiment",
        nargs="+",
        default=["inbuilt"],
        choices=[*EXPERIMENTS, "all"],
        metavar="NAME",
        help=f"one or several of {', '.join(EXPERIMENTS)}, or all (default inbuilt)",
    )
    parser.add_argument(
        "--val",
        type=Path,
        help=f"class folders to validate on (default: {' or '.join(VALIDATION_NAMES)} beside "
        f"TRAIN_DIR, else {HELD_OUT:.0%} of each class)".replace("%", "%%"),
    )
    parser.add_argument("--n", type=int, default=2, help="6n+2 layers (default 2)")
    parser.add_argument(
        "--classes", "--r", type=int, help="r; must equal the number of class folders"
    )
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"default {EPOCHS}")
    parser.add_argument(
        "--batch-size", type=int, help=f"images a step (default: the experiment's, {BATCH_SIZE})"
    )
    parser.add_argument(
        "--lr",
        type=float,
        default=LEARNING_RATE,
        help=f"initial learning rate for a batch of {BATCH_SIZE}, scaled with the batch size "
        f"(default {LEARNING_RATE:g})",
    )
    parser.add_argument("--size", type=int, default=SIZE_PX, help="image side in pixels")
    parser.add_argument("--groups", type=int, default=GROUPS, help="of group normalisation")
    parser.add_argument(
        "--patience",
        type=int,
        default=10,
        help="epochs without a better validation accuracy after which experiments of section 2.6 "
        "stop (default 10)",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="go on where a run was stopped")
    parser.add_argument("--device", help="cpu or cuda (default: cuda where there is one)")
    parser.add_argument("--threads", type=int, help="CPU threads")


def train(arguments: argparse.Namespace) -> None:
    """Class folders in; for each experiment a folder with resnet_model.pth, metadata.json,
    metrics.csv and metrics.png out."""
    _check_train_arguments(arguments)
    names = list(EXPERIMENTS) if "all" in arguments.experiment else arguments.experiment
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    files = list_training_files(arguments)
    group = join_group(arguments.device)
    compute = choose_compute(arguments.device, group.local_rank)
    splits = _Splits(arguments, files, compute)
    for name in dict.fromkeys(names):
        if group.is_first and len(names) > 1:
            print(f"\n== {name}", flush=True)
        _train_one(name, arguments, splits, compute, group)
    leave_group(group)


def _train_one(
    name: str, arguments: argparse.Namespace, splits: _Splits, compute: Compute, group: Group
) -> None:
    experiment = EXPERIMENTS[name]
    batch_size = arguments.batch_size or experiment.batch_size
    folder = arguments.checkpoint_dir / name
    make_folder(folder)
    # the same seed for all: variants start from the same filters and see the same batches
    make_deterministic(arguments.seed)
    config = ResNetConfig(
        n=arguments.n,
        num_classes=len(splits.class_names),
        widths=WIDTHS,
        size_px=arguments.size,
    )
    network = ResNet(config, norm_layer(experiment.norm, arguments.groups))
    settings = Settings(
        plan=Plan(
            stages=(Stage(arguments.size, arguments.size, 1.0, batch_size),),
            peak_learning_rate=arguments.lr,
            reference_batch=BATCH_SIZE,
            warmup_share=0.0,  # the assignment's rate is the initial one; it falls by a cosine
        ),
        budget=Budget(arguments.epochs, None),
        augmentation=AUGMENTATION,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        seed=arguments.seed,
        images=splits.sha256,
        weight_decay=1e-4,
        label_smoothing=0.0,
        average_decay=0.0,  # no averaging: what is measured is what the optimiser has
    )
    metadata = {
        "recipe": NAME,
        "experiment": name,
        "norm": experiment.norm,
        "groups": arguments.groups,
        **config.to_json(),
        "class_names": list(splits.class_names),
        "mean": list(IMAGENET_MEAN),
        "std": list(IMAGENET_STD),
        "batch_size": batch_size,
        "learning_rate": arguments.lr * batch_size / BATCH_SIZE,
        "epochs_asked": arguments.epochs,
        "parameters": count_parameters(network),
        "train_images": len(splits.train_files),
        "val_images": len(splits.val_files),
        "seed": arguments.seed,
        "device": compute.describe(),
        "torch": torch.__version__,
    }
    watch = Watch(True, arguments.patience if experiment.stops_early else None)
    if group.is_first:
        print(
            f"{len(splits.train_files)} images to train on, {len(splits.val_files)} to validate, "
            f"{len(splits.class_names)} classes; normalisation {experiment.norm}, batches of "
            f"{batch_size}; {count_layers(network)} layers, {count_parameters(network):,} "
            f"parameters; {compute.describe()}",
            flush=True,
        )
    run = Run(network, settings, splits.stores, compute, group, folder, metadata, watch)
    if arguments.resume and not run.resume() and group.is_first:
        print(f"{folder}: nothing to resume, so this run starts anew")
    run.train()


class _Splits:
    """Training and validation images: found at once, decoded when they are first asked for, and
    kept for all experiments (a byte a channel and pixel: 5.9 GB for 30,000 at 256 px)."""

    def __init__(
        self, arguments: argparse.Namespace, files: LabelledFiles, compute: Compute
    ) -> None:
        self.compute = compute
        self.class_names = files.class_names
        self.train_files = list(zip(files.paths, files.targets, strict=True))
        validation = arguments.val or _validation_folder(arguments.train_dir)
        if validation is not None:
            held_out = list_class_folders(validation)
            if held_out.class_names != files.class_names:
                differing = sorted({*held_out.class_names} ^ {*files.class_names})
                raise SubmissionError(
                    f"{validation}: has other class folders than {arguments.train_dir}: "
                    f"{', '.join(differing[:5])}{' …' if len(differing) > 5 else ''}"
                )
            self.val_files = list(zip(held_out.paths, held_out.targets, strict=True))
        else:
            ours, theirs = split_stratified(files.targets, HELD_OUT, arguments.seed)
            self.val_files = [self.train_files[index] for index in theirs]
            self.train_files = [self.train_files[index] for index in ours]
            if not self.val_files:
                raise SubmissionError(
                    f"{arguments.train_dir}: no class has two images, so that none can be held "
                    "out; give --val DIR"
                )
        self.sha256 = hash_split(
            (arguments.train_dir, self.train_files),
            (validation or arguments.train_dir, self.val_files),
        )
        self.kept: tuple[PixelStore, PixelStore] | None = None

    def stores(self, store_px: int, size_px: int) -> tuple[PixelStore, PixelStore]:
        if self.kept is None:
            self.kept = (
                self._decode(self.train_files, store_px),
                self._decode(self.val_files, size_px),
            )
        return self.kept

    def _decode(self, files: Sequence[tuple[Path, int]], size_px: int) -> PixelStore:
        return decode_into_store(
            [path for path, _ in files],
            [target for _, target in files],
            size_px,
            workers=torch.get_num_threads(),
            device=self.compute.device,
        )


def _validation_folder(train_dir: Path) -> Path | None:
    beside = (train_dir.resolve().parent / name for name in VALIDATION_NAMES)
    return next((path for path in beside if path.is_dir()), None)


def _check_train_arguments(arguments: argparse.Namespace) -> None:
    lowest = {"n": 1, "size": 16, "batch_size": 1, "threads": 1, "seed": 0, "epochs": 1}
    require_at_least(arguments, lowest | {"groups": 1, "patience": 1})
    require_learning_rate(arguments.lr)


# --------------------------------------------------------------------------- evaluate


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "checkpoint",
        type=Path,
        metavar="CHECKPOINT",
        help="a state_dict; with --report the folder that holds the experiments",
    )
    parser.add_argument(
        "test_dir", type=Path, metavar="TEST_IMAGES_DIR", help="images, or class folders of them"
    )
    parser.add_argument("--norm", choices=NORMS, help="default: metadata.json's, else the tensors'")
    parser.add_argument("--classes", type=Path, help="class names: JSON, text or class folders")
    parser.add_argument(
        "--report", type=Path, metavar="DIR", help="write report.md and its figures there"
    )
    parser.add_argument(
        "--species",
        nargs="+",
        metavar="NAME",
        help="classes whose heatmaps the report shows (default: the assignment's seven)",
    )
    parser.add_argument("--device", help="cpu or cuda (default: cuda where there is one)")
    parser.add_argument("--batch-size", type=int, default=8)


def evaluate(arguments: argparse.Namespace) -> None:
    """Write submission.csv and heatmaps/ into the working directory and print the statistics that
    class folders allow; or, with --report, the report of a folder of experiments."""
    require_at_least(arguments, {"batch_size": 1})
    compute = choose_compute(arguments.device, 0)
    if arguments.report is not None:
        from report.write import write_report  # noqa: PLC0415 - predicting needs no figures

        require_folder(arguments.checkpoint, "the experiments' folders")
        make_folder(arguments.report)
        path = write_report(
            arguments.checkpoint,
            list(EXPERIMENTS),
            list_class_folders(arguments.test_dir),
            arguments.report,
            compute,
            species=arguments.species,
        )
        print(f"wrote {path}")
        return
    images = list_test_images(arguments.test_dir)
    program_folder = Path(__file__).resolve().parent.parent
    loaded = load_network(
        arguments.checkpoint, program_folder, norm=arguments.norm, size_px=SIZE_PX
    )
    classes = find_class_names(
        loaded,
        arguments.checkpoint,
        program_folder,
        given=arguments.classes,
        test_folders=sorted({image.label for image in images if image.label is not None}),
    )
    loaded.network.to(compute.device)
    make_folder(Path("heatmaps"))
    predicted: dict[str, str] = {}
    for start in range(0, len(images), arguments.batch_size):
        batch = images[start : start + arguments.batch_size]
        predicted |= _predict(batch, loaded, classes.names, compute)
    write_labels(images, predicted)
    print(
        f"{len(predicted)} of {len(images)} images predicted; wrote submission.csv and heatmaps/ "
        f"(class names from {classes.source})"
    )
    _print_statistics(images, predicted, classes.names)


def _predict(
    batch: Sequence[TestImage], loaded: LoadedNetwork, names: Sequence[str], compute: Compute
) -> dict[str, str]:
    """Labels by image name, with a heatmap saved for each image that can be read."""
    readable, pixels = [], []
    for image in batch:
        try:
            pixels.append(read_rgb(image.path, loaded.size_px))
            readable.append(image)
        except UnreadableImage as error:
            print(f"warning: {image.path}: skipped, unreadable: {error}", file=sys.stderr)
    if not readable:
        return {}
    tensor = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).to(compute.device)
    inputs = scaled(tensor.contiguous(), loaded.mean, loaded.std)
    wanted = [names.index(image.label) if image.label in names else -1 for image in readable]
    targets = torch.tensor(wanted, device=compute.device)
    logits, heatmaps = mean_grad_cam(
        loaded.network, inputs, targets, last_stage_layers(loaded.network)
    )
    for image, heatmap in zip(readable, heatmaps.cpu().numpy(), strict=True):
        path = Path("heatmaps") / Path(image.name).with_suffix(".png")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((heatmap * 255).round().astype(np.uint8)).save(path)
        except OSError as error:
            raise SubmissionError(f"{path}: cannot be written ({error})") from error
    called = logits.argmax(1).tolist()
    return {image.name: names[found] for image, found in zip(readable, called, strict=True)}


def _print_statistics(
    images: Sequence[TestImage], predicted: dict[str, str], names: Sequence[str]
) -> None:
    counts = torch.zeros(len(names), len(names), dtype=torch.int64)
    for image in images:
        if image.label in names and image.name in predicted:
            counts[names.index(image.label), names.index(predicted[image.name])] += 1
    if counts.any():
        found = Measured(math.nan, counts)
        print(
            f"classification accuracy: {100 * found.accuracy:.2f} % "
            f"({int(counts.diagonal().sum())} of {int(counts.sum())})\n"
            f"micro F1: {100 * found.micro_f1:.2f} %\n"
            f"macro F1: {100 * found.macro_f1:.2f} %"
        )
