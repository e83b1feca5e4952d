"""What a submission tells by itself. Most signs are weak, and say so."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

from grader.findings import found, listed, quoted
from grader.model import Finding
from grader.similarity.submission.names import Mention
from grader.similarity.submission.read_material import Material, MaterialFile
from grader.stages.compare_printed import accuracy_in

# A zip keeps local times without saying of which place: from UTC-12 to UTC+14 it can be anywhere.
_ANY_ZONE = timedelta(hours=14)
_CLOCK = timedelta(minutes=10)
_CLEARLY_OLDER = timedelta(hours=1)
_DISTINCT_TIMES = 3  # fewer: the archive was written by a program that keeps one time for all
_UNKNOWN_SHARE = 0.5
_LEAST_UNKNOWN = 2
_CLAIMED_GAP = 0.15
_MAX_SHOWN = 5

# What PyTorch's own modules call their tensors, whatever the student's code says.
_LEAVES = frozenset(
    {"weight", "bias", "running_mean", "running_var", "num_batches_tracked", "module", "_orig_mod"}
    | {"in_proj_weight", "in_proj_bias", "out_proj", "weight_g", "weight_v", "parametrizations"}
)
_WORD = re.compile(r"[A-Za-z_]\w*")
_DIGITS = re.compile(r"\d+")
_READY_MADE = frozenset({"timm", "torchvision", "segmentation_models_pytorch", "transformers"})
_LOGS = (".log", ".txt", ".md", ".out", ".ipynb", ".csv", ".rst", ".tex", ".html")
_OF_KNOWN_IMAGES = re.compile(r"\btrain(?:ing)?\b", re.IGNORECASE)


def foreign_names(
    material: Material, mentions: Sequence[Mention], own_emails: frozenset[str] | None = None
) -> Iterator[Finding]:
    """Entry numbers that are not the submission's own; addresses, where its own are known."""
    own = material.entry_number
    numbers = [m for m in mentions if m.kind == "entry number" and own and m.text != own.upper()]
    for mention in numbers[:_MAX_SHOWN]:
        where = "in its path" if mention.in_path else "in it"
        yield found(
            "zip.other-entry-number",
            f"{quoted(mention.text)} stands {where}; the submission is that of {own}",
            path=quoted(mention.path, 200),
            line=mention.line,
        )
    if own_emails:
        own_texts = {address.lower() for address in own_emails}
        others = [m for m in mentions if m.kind == "e-mail" and m.text not in own_texts]
        for mention in others[:_MAX_SHOWN]:
            yield found(
                "zip.other-email",
                f"{quoted(mention.text)} stands in it",
                path=quoted(mention.path, 200),
                line=mention.line,
            )


def late_times(material: Material, deadline: datetime | None) -> Iterator[Finding]:
    """Files written after the deadline, wherever on earth the clock stood."""
    if deadline is None:
        return
    late = []
    for file in material.files:
        if file.written is None:
            continue
        zone_known = file.written.tzinfo is not None
        written = file.written if zone_known else file.written.replace(tzinfo=UTC)
        if written > deadline + (_CLOCK if zone_known else _ANY_ZONE):
            late.append(file.path)
    if late:
        until = deadline.strftime("%Y-%m-%d %H:%M %Z")
        yield found(
            "zip.late-times",
            f"{len(late)} of {len(material.files)} files were written after {until}: "
            f"{listed(late)}",
        )


def older_checkpoint(material: Material) -> Iterator[Finding]:
    """A checkpoint that was written clearly before all code that could have trained it."""
    by_path = {file.path: file for file in material.files}
    if len({_comparable(file) for file in material.files} - {None}) < _DISTINCT_TIMES:
        return
    code = [
        time
        for file in material.files
        if file.path.endswith((".py", ".ipynb")) and (time := _comparable(file)) is not None
    ]
    if not code:
        return
    for path in material.checkpoints:
        time = _comparable(by_path[path])
        if time is not None and time + _CLEARLY_OLDER < min(code):
            gap = min(code) - time
            yield found(
                "checkpoint.older-than-code",
                f"it was written {_long(gap)} before the oldest file of code",
                path=quoted(path, 200),
            )


def _comparable(file: MaterialFile) -> datetime | None:
    return None if file.written is None else file.written.replace(tzinfo=None)


def _long(gap: timedelta) -> str:
    hours = gap.total_seconds() / 3600
    return f"{hours:.0f} hours" if hours < 48 else f"{hours / 24:.0f} days"


def unknown_names(material: Material) -> Iterator[Finding]:
    """Checkpoints whose layers have names that stand nowhere in the code that was handed in."""
    words = {
        word
        for text in material.texts
        if text.path.endswith((".py", ".ipynb"))
        for line in text.lines
        for word in _WORD.findall(line)
    }
    if not words or ("models" in words and not _READY_MADE.isdisjoint(words)):
        return  # no code to hold it against, or a network that a library names
    for path, names in material.layers.items():
        parts = {
            part for name in names for part in name.split(".")[:-1] if not part.isdecimal()
        } - _LEAVES
        unknown = sorted(part for part in parts if not _is_known(part, words))
        if len(unknown) >= _LEAST_UNKNOWN and len(unknown) >= _UNKNOWN_SHARE * len(parts):
            yield found(
                "checkpoint.unknown-names",
                f"{len(unknown)} of {len(parts)} names of its layers stand nowhere in the code: "
                f"{listed(unknown)}",
                path=quoted(path, 200),
            )


def _is_known(part: str, words: set[str]) -> bool:
    """`layer1` is known where the code says `layer1`, or builds it: f"layer{i}"."""
    stem = _DIGITS.sub("", part).strip("_")
    return part in words or (bool(stem) and stem != part and bool({stem, f"{stem}_"} & words))


def unreproduced_log(material: Material, measured: float | None) -> Iterator[Finding]:
    """An accuracy that a log or report claims, far above what the checkpoint gives (`measured`,
    in [0, 1]). Lines about training images claim nothing."""
    if measured is None:
        return
    best: tuple[float, str, int | None] | None = None
    for text in material.texts:
        if text.binary or PurePosixPath(text.path).suffix.lower() not in _LOGS:
            continue
        for number, line in enumerate(text.lines, 1):
            if "acc" not in line.lower() or _OF_KNOWN_IMAGES.search(line):
                continue
            value = accuracy_in(line)
            if value is not None and (best is None or value > best[0]):
                best = value, text.path, number if text.numbered else None
    if best is not None and best[0] - measured > _CLAIMED_GAP:
        yield found(
            "result.unreproduced-log",
            f"it says an accuracy of {best[0]:.1%}; the checkpoint gives {measured:.1%} on the "
            "hidden images",
            path=quoted(best[1], 200),
            line=best[2],
        )
