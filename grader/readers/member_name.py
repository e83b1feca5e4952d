"""What a zip member's name means, and everything that is wrong with it.

A name goes from bytes to text (`decode_name`) and from text to a path below the submission's top
(`read_path`). Whoever unpacks uses only the path that comes out, and only when no finding that
came with it is an error.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Callable

from grader.findings import found, quoted
from grader.frozen import frozen
from grader.model import Finding

MAX_COMPONENT_BYTES = 255  # NAME_MAX of every usual file system
MAX_PATH_BYTES = 1024  # of UTF-8; leaves room for the folder that it is unpacked into

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_JOINERS = frozenset("\u200c\u200d")  # written within words in Persian, Hindi and emoji
_LINE_ENDS = frozenset("\u2028\u2029")
_SLASHES = str.maketrans(dict.fromkeys("\\\u2044\u2215\u29f8\ufe68\uff0f\uff3c", "/"))
_PERCENT_ENCODED = re.compile(r"%(25|2e|2f|5c)", re.IGNORECASE)
_DOTS = re.compile(r"\.[. ]*\.[. ]*")  # "..", "...", ".. ", ". .": a parent to some system
_DRIVE = re.compile(r"[A-Za-z]:")
_NOT_ON_WINDOWS = frozenset('<>:"|?*')
_WINDOWS_DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"}
    | {f"{port}{number}" for port in ("COM", "LPT") for number in range(10)}
)
# what writers put in a legacy name where a character does not fit its code page
_PLACEHOLDERS = re.compile(r"#U[0-9A-Fa-f]{4,6}|[^\x00-\x7f]+|[?_]+")
_Report = Callable[[str, str], None]  # (code, what is wrong)
_MAX_PERCENT_ROUNDS = 3  # %25252e%25252e is the deepest spelling ever seen


@frozen
class MemberPath:
    """`path`: relative, POSIX, NFC, without "." or empty parts; "" is the top folder itself."""

    path: str
    is_dir: bool
    tidied: bool  # the archive spells it differently ("./a", "a//b", decomposed accents)


def decode_name(
    raw: bytes, *, utf8: bool, unicode_path: bytes | None
) -> tuple[str | None, list[Finding]]:
    """A member's name as text; None when it has none that all readers agree on.

    `utf8`: general purpose bit 11 (APPNOTE 4.4.4); `unicode_path`: the Info-ZIP Unicode Path
    extra field 0x7075 (APPNOTE 4.6.9). Names without either are cp437 by the standard, but
    Info-ZIP on Linux and macOS write UTF-8 there: UTF-8 is tried first.
    """
    shown = quoted(raw.decode("utf-8", "backslashreplace"), 120)
    if utf8:
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError:
            return None, [
                found(
                    "zip.name-encoding",
                    f"the name {shown} is marked as UTF-8 and is not",
                    path=shown,
                )
            ]
        legacy = None
    elif raw.isascii():
        name, legacy = raw.decode("ascii"), None
    else:
        try:
            name, legacy = raw.decode("utf-8"), "UTF-8"
        except UnicodeDecodeError:
            name, legacy = raw.decode("cp437"), "cp437, the alphabet of MS-DOS"
    if unicode_path is not None:
        better = _unicode_path(raw, name, unicode_path)
        if better is None:
            return None, [
                found(
                    "zip.unicode-path-mismatch",
                    f"the name {shown} and its Unicode copy do not agree",
                    path=shown,
                )
            ]
        return better, []
    if legacy is None:
        return name, []
    return name, [
        found(
            "zip.name-legacy",
            f"the name {quoted(name, 120)} does not say how it is encoded; read as {legacy}",
            path=quoted(name, 200),
        )
    ]


def _unicode_path(raw: bytes, name: str, field: bytes) -> str | None:
    """The name in a Unicode Path field, None when it is stale, broken or another name."""
    if len(field) < 5 or field[0] != 1 or int.from_bytes(field[1:5], "little") != zlib.crc32(raw):
        return None
    try:
        better = field[5:].decode("utf-8")
    except UnicodeDecodeError:
        return None
    parts, better_parts = name.split("/"), better.split("/")
    if len(parts) != len(better_parts):
        return None
    for part, better_part in zip(parts, better_parts, strict=True):
        if part == better_part:
            continue
        if better_part.isascii():  # nothing that the plain name could not have said
            return None
        # A legacy name in another code page may hold anything but must hold something foreign.
        if part.isascii() and _PLACEHOLDERS.sub("", part) != _PLACEHOLDERS.sub("", better_part):
            return None
    return better


def read_path(
    name: str, *, windows_separators: bool, max_depth: int
) -> tuple[MemberPath, list[Finding]]:
    """The path that `name` stands for, with a finding for each thing that is wrong with it.

    `windows_separators`: the whole archive was written with backslashes between folders, as old
    PowerShell and .NET do; they are then read as slashes.
    """
    findings: list[Finding] = []

    def wrong(code: str, what: str) -> None:
        findings.append(found(code, f"{quoted(name, 120)}: {what}", path=quoted(name, 200)))

    _check_characters(name, wrong)
    if "\\" in name and not windows_separators:
        wrong("zip.backslash", "a backslash, which parts folders on Windows only")
    text = name.replace("\\", "/")
    if text.startswith("//"):
        wrong("zip.unc-path", "a network share")
    elif text.startswith("/"):
        wrong("zip.absolute-path", "an absolute path")
    elif _DRIVE.match(text):
        wrong("zip.drive-path", "a path on a Windows drive")
    if _climbs(text):
        wrong("zip.traversal", "points outside the folder that it is unpacked into")

    is_dir = text.endswith("/")
    plain = unicodedata.normalize("NFC", text)
    parts = [part for part in plain.split("/") if part not in {"", "."}]
    path = "/".join(parts)
    if not parts and not is_dir:
        wrong("zip.name-empty", "a member without a name")
    if len(parts) > max_depth:
        wrong("zip.too-deep", f"{len(parts)} levels deep, at most {max_depth} are allowed")
    if len(path.encode("utf-8", "surrogatepass")) > MAX_PATH_BYTES:
        wrong("zip.name-too-long", f"longer than {MAX_PATH_BYTES} bytes")
    for part in parts:
        _check_component(part, wrong)
    tidied = path + "/" * is_dir != text
    return MemberPath(path, is_dir, tidied), findings


def collision_key(path: str) -> str:
    """Equal for two paths that some usual file system, or the eye, takes for the same.

    Compatibility-normalised and case-folded (Unicode 15, D145), without joiners, and without the
    dots and spaces that Windows drops at the end of a name.
    """
    if path.isascii():
        key = path.lower()
    else:
        key = unicodedata.normalize("NFKC", path).casefold()
        key = unicodedata.normalize("NFKC", key)
        key = "".join(char for char in key if char not in _JOINERS)
    if ". " in key or " /" in key or "./" in key or key.endswith((".", " ")):
        key = "/".join(part.rstrip(". ") for part in key.split("/"))
    return key


def _check_characters(name: str, wrong: _Report) -> None:
    # macOS names a folder's own icon "Icon\r"; it is dropped with the other leftovers.
    text = name.removesuffix("\r") if name.rsplit("/", 1)[-1] == "Icon\r" else name
    if text.isascii() and text.isprintable():
        return
    if "\0" in text:
        wrong("zip.name-nul", "a NUL character, where some programs end the name")
    categories = {char: unicodedata.category(char) for char in set(text)}
    if any(
        (kind == "Cc" and char != "\0") or char in _LINE_ENDS or kind == "Cs"
        for char, kind in categories.items()
    ):
        wrong("zip.name-control", "control characters in the name")
    if not _BIDI.isdisjoint(categories):
        wrong("zip.name-bidi", "characters that turn the direction of reading")
    if any(
        kind == "Cf" and char not in _BIDI and char not in _JOINERS
        for char, kind in categories.items()
    ):
        wrong("zip.name-invisible", "invisible characters in the name")


def _climbs(text: str) -> bool:
    """Whether any reader, however it decodes, could see a way up or home in `text`."""
    spellings = [text]
    decoded = text
    for _ in range(_MAX_PERCENT_ROUNDS):
        if not _PERCENT_ENCODED.search(decoded):
            break
        decoded = _PERCENT_ENCODED.sub(lambda match: chr(int(match[1], 16)), decoded)
        spellings.append(decoded)
    if not text.isascii():
        spellings.append(unicodedata.normalize("NFKC", text.translate(_SLASHES)))
    return any(
        part == "~" or _DOTS.fullmatch(part.strip())
        for spelling in spellings
        for part in spelling.replace("\\", "/").split("/")
    )


def _check_component(part: str, wrong: _Report) -> None:
    if len(part.encode("utf-8", "surrogatepass")) > MAX_COMPONENT_BYTES:
        wrong("zip.name-too-long", f"a name longer than {MAX_COMPONENT_BYTES} bytes")
    stem = part.split(".", 1)[0].rstrip(" ")
    if unicodedata.normalize("NFKC", stem).upper() in _WINDOWS_DEVICES:
        wrong("zip.windows-name", f"{quoted(part)} is the name of a device on Windows")
    if part.endswith((".", " ")) and part.strip(". "):
        wrong("zip.trailing-dot-or-space", "ends in a dot or space, which Windows drops")
    if not _NOT_ON_WINDOWS.isdisjoint(part):
        wrong("zip.not-portable", "a character that no name on Windows may hold")
