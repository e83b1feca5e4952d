"""A checkpoint and what stands beside it → a network that is ready to predict."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from data.scaling import IMAGENET_MEAN, IMAGENET_STD
from errors import SubmissionError
from models.resnet import ResNet, config_from_state_dict
from models.variants import GROUPS, norm_in, norm_layer
from training.files import load_tensors, sha256

METADATA_NAME = "metadata.json"
CLASS_LABELS_NAME = "class_labels.json"


@dataclass(frozen=True)
class LoadedNetwork:
    """A network in evaluation mode, and how its input is made: images stretched to `size_px`,
    (value/255 − mean)/std per channel. `metadata` is what stood beside it, else empty."""

    network: ResNet
    size_px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class ClassNames:
    """`names[i]` belongs to logit i; `source` says in words where they were found."""

    names: tuple[str, ...]
    source: str


def load_network(
    checkpoint: Path, program_folder: Path, *, norm: str | None = None, size_px: int = 224
) -> LoadedNetwork:
    """Load a state_dict; n, r and widths come from its shapes, the input from the metadata.json
    beside it or in `program_folder`, else `size_px` and ImageNet's mean and deviation. The
    normalisation is `norm`, else the metadata's, else what the tensors tell.

    Raises SubmissionError.
    """
    state_dict = load_tensors(checkpoint)
    if not isinstance(state_dict, Mapping) or not all(
        isinstance(tensor, Tensor) for tensor in state_dict.values()
    ):
        raise SubmissionError(
            f"{checkpoint}: holds {_kind(state_dict)}; expected a plain state_dict, name → tensor"
        )
    metadata = _metadata_for(state_dict, checkpoint, program_folder)
    config = config_from_state_dict(state_dict, size_px=_read(metadata, "size_px", int, size_px))
    found = norm or _read(metadata, "norm", str, norm_in(state_dict))
    if found is None:
        raise SubmissionError(
            f"{checkpoint}: its tensors may be those of instance, layer or group normalisation; "
            f"say which by --norm, or put its {METADATA_NAME} beside it"
        )
    network = ResNet(config, norm_layer(found, _read(metadata, "groups", int, GROUPS)))
    try:
        network.load_state_dict(dict(state_dict))
    except RuntimeError as error:
        raise SubmissionError(f"{checkpoint}: {error}") from error
    return LoadedNetwork(
        network=network.eval().requires_grad_(False),
        size_px=config.size_px,
        mean=tuple(_read(metadata, "mean", list, IMAGENET_MEAN)),
        std=tuple(_read(metadata, "std", list, IMAGENET_STD)),
        metadata=metadata,
    )


def _kind(content: Any) -> str:
    if isinstance(content, Mapping):
        return f"a dictionary with {', '.join(map(str, list(content)[:4]))}"
    return type(content).__name__


def read_json(path: Path) -> Any:
    """Raises SubmissionError for a file that cannot be read or is no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SubmissionError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise SubmissionError(f"{path}: is not JSON ({error})") from error


def _read(metadata: Mapping[str, Any], key: str, kind: type, default: Any) -> Any:
    value = metadata.get(key, default)
    if value is not default and not isinstance(value, kind):
        raise SubmissionError(f'{METADATA_NAME}: "{key}" is {value!r}; expected {kind.__name__}')
    return value


def _metadata_for(
    state_dict: Mapping[str, Tensor], checkpoint: Path, program_folder: Path
) -> dict[str, Any]:
    """The metadata.json beside the checkpoint, else the program's own if it fits in r."""
    for folder in (checkpoint.parent, program_folder):
        path = folder / METADATA_NAME
        if not path.is_file():
            continue
        metadata = read_json(path)
        if not isinstance(metadata, dict):
            raise SubmissionError(f"{path}: expected a JSON object")
        names = metadata.get("class_names")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise SubmissionError(f'{path}: "class_names" must be a list of the classes\' names')
        head = state_dict.get("fc.weight")
        if head is not None and len(names) == head.shape[0]:
            _warn_of_another_checkpoint(metadata, path, checkpoint)
            return metadata
    return {}


def _warn_of_another_checkpoint(metadata: Mapping[str, Any], path: Path, checkpoint: Path) -> None:
    described = metadata.get("checkpoint_sha256")
    if described is not None and described != sha256(checkpoint.read_bytes()):
        print(
            f"warning: {path}: describes another checkpoint than {checkpoint} (by its "
            '"checkpoint_sha256"); the image side, normalisation and class names that it gives are '
            "used, and may not be those of this one",
            file=sys.stderr,
        )


def find_class_names(
    loaded: LoadedNetwork,
    checkpoint: Path,
    program_folder: Path,
    *,
    given: Path | None = None,
    test_folders: Sequence[str] = (),
) -> ClassNames:
    """The names of a network's r outputs: from `given` (a file, or a folder of class folders),
    else from its metadata.json, else from a class_labels.json beside the checkpoint or in
    `program_folder`, else from the class folders of the test images when there are exactly r.

    Raises SubmissionError when there are none, or another number than r.
    """
    count = loaded.network.config.num_classes
    if given is None and loaded.metadata:
        return ClassNames(tuple(loaded.metadata["class_names"]), METADATA_NAME)
    candidates = [given] if given is not None else []
    candidates += [folder / CLASS_LABELS_NAME for folder in (checkpoint.parent, program_folder)]
    for path in candidates:
        if path != given and not path.is_file():
            continue
        names = _names_in(path)
        if len(names) == count:
            return ClassNames(names, str(path))
        raise SubmissionError(f"{path}: names {len(names)} classes; the checkpoint has {count}")
    if len(test_folders) == count:
        return ClassNames(tuple(sorted(test_folders)), "the class folders of the test images")
    raise SubmissionError(
        f"{checkpoint}: no class names found for its {count} outputs; expected {METADATA_NAME} or "
        f"{CLASS_LABELS_NAME} beside the checkpoint, or --classes FILE"
    )


def _names_in(path: Path) -> tuple[str, ...]:
    """A folder of class folders, a text file with a name a line, or JSON: a list, an object
    {"0": name, …}, or an object {name: 0, …}."""
    if path.is_dir():
        return tuple(sorted(entry.name for entry in path.iterdir() if entry.is_dir()))
    if path.suffix.lower() != ".json":
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise SubmissionError(f"{path}: cannot be read ({error})") from error
        return tuple(line.strip() for line in lines if line.strip())
    content = read_json(path)
    if isinstance(content, dict) and "class_names" in content:
        content = content["class_names"]
    if isinstance(content, dict):
        by_index = (
            content
            if all(key.isdecimal() for key in content)
            else {str(index): name for name, index in content.items()}
        )
        content = [by_index.get(str(index)) for index in range(len(content))]
    if not isinstance(content, list) or not all(isinstance(name, str) for name in content):
        raise SubmissionError(f"{path}: expected a list of class names, or names by index")
    return tuple(content)
