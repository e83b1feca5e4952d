"""Say what kind of file a checkpoint is from its first bytes and its zip directory.

Nothing is unpickled here, and no more than the archive's directory is read.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

# A network of a few million weights has some hundred records; a million is an attack.
_MAX_RECORDS = 100_000
# torch.save stores without compression; a repacked archive may shrink weights a little.
_MAX_RATIO = 20
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Container:
    """`kind` is "torch-zip" or "pickle" for what can be read; else a finding's code says why not.

    `records` is the folder of a torch zip that holds `data.pkl`, with its trailing slash; None for
    anything else.
    """

    kind: str
    records: str | None = None
    refusal: str = ""
    message: str = ""
    damaged: tuple[str, ...] = ()


def recognise(path: Path, max_bytes: int) -> Container:
    """What `path` is. `max_bytes` bounds what its records may unpack to."""
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        return _refuse("checkpoint.empty", "the file has no bytes")
    size_bytes = path.stat().st_size
    if size_bytes > max_bytes:
        return _refuse(
            "checkpoint.too-large", f"it has {size_bytes} bytes, {max_bytes} are read at most"
        )
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _recognise_zip(path, max_bytes)
    if head[0] == 0x80 and len(head) > 1 and 2 <= head[1] <= 5:
        return Container("pickle")
    return _refuse("checkpoint.other-format", f"the file is {_name(head)}")


def _refuse(code: str, message: str) -> Container:
    return Container("refused", refusal=code, message=message)


# What students really hand in under the name of a checkpoint, by its first bytes.
_SIGNATURES = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file that it points to"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras)"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"BZh", "compressed with bzip2"),
    (b"\xfd7zXZ\x00", "compressed with xz"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"%PDF", "a PDF document"),
)


def _name(head: bytes) -> str:
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            return name
    start = head.lstrip().lower()
    if start.startswith((b"<!doctype", b"<html")):
        return "a web page (the download asked for a confirmation)"
    if len(head) >= 262 and head[257:262] == b"ustar":
        return "a tar archive"
    if all(byte in b"\t\n\r\x0c" or byte >= 0x20 for byte in head):
        return "a text file"
    return f"of no known kind (it begins with {head[:4].hex(' ')})"


def _recognise_zip(path: Path, max_bytes: int) -> Container:
    try:
        with zipfile.ZipFile(path) as archive:
            return _recognise_records(archive, max_bytes)
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError) as error:
        return _refuse("checkpoint.damaged", f"the archive cannot be read: {error}")


def _recognise_records(archive: zipfile.ZipFile, max_bytes: int) -> Container:
    infos = archive.infolist()
    names = [info.filename for info in infos]
    refusal = _too_large(infos, max_bytes) or _other_archive(names)
    if refusal is not None:
        return refusal
    if len(set(names)) != len(names):
        return _refuse("checkpoint.damaged", "the archive holds two records of the same name")
    if any(info.flag_bits & 0x1 for info in infos):
        return _refuse("checkpoint.other-format", "the archive is encrypted")
    pickles = [name for name in names if PurePosixPath(name).name == "data.pkl"]
    if len(pickles) != 1:
        return _refuse(
            "checkpoint.other-format",
            "the file is a zip archive without a data.pkl: torch.save did not write it",
        )
    return Container(
        "torch-zip", records=pickles[0].removesuffix("data.pkl"), damaged=_damaged(archive)
    )


def _too_large(infos: list[zipfile.ZipInfo], max_bytes: int) -> Container | None:
    if len(infos) > _MAX_RECORDS:
        return _refuse("checkpoint.too-large", f"the archive has {len(infos)} records")
    unpacked = sum(info.file_size for info in infos)
    packed = sum(info.compress_size for info in infos)
    if unpacked > max_bytes:
        return _refuse(
            "checkpoint.too-large",
            f"its records unpack to {unpacked} bytes, {max_bytes} are read at most",
        )
    # A small record of zeros may well shrink a thousandfold.
    if unpacked > _MAX_RATIO * packed + _CHUNK_BYTES:
        return _refuse(
            "checkpoint.too-large",
            f"its records unpack to {unpacked} bytes from {packed}: no weights shrink so much",
        )
    return None


def _other_archive(names: list[str]) -> Container | None:
    # torch puts everything into one folder that is named after the file.
    inner = {name.partition("/")[2] or name for name in names}
    if "constants.pkl" in inner or any(name.startswith("code/") for name in inner):
        return _refuse("checkpoint.torchscript", "the file is a TorchScript archive (torch.jit)")
    if {"archive_format", "serialized_exported_program.json"} & inner:
        return _refuse("checkpoint.torch-export", "the file is a torch.export archive (.pt2)")
    if {".data/extern_modules", ".data/python_version"} & inner:
        return _refuse("checkpoint.torch-package", "the file is a torch.package archive")
    if names and all(name.endswith(".npy") for name in names):
        return _refuse("checkpoint.other-format", "the file is a NumPy archive (.npz)")
    if any(name.endswith(".h5") for name in names):
        return _refuse("checkpoint.other-format", "the file is a Keras archive")
    return None


def _damaged(archive: zipfile.ZipFile) -> tuple[str, ...]:
    """Records whose bytes do not have the checksum that was written with them."""
    damaged = []
    for info in archive.infolist():
        try:
            with archive.open(info) as record:
                while record.read(_CHUNK_BYTES):
                    pass
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError):
            damaged.append(info.filename)
    return tuple(damaged)
