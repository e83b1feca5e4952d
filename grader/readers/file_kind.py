"""What a file really is, by its first bytes and never by its name."""

from __future__ import annotations

HEAD_BYTES = 512  # enough for every signature here; tar's stands at byte 257

_ARCHIVES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"PK\x05\x06", "an empty zip archive"),
    (0, b"PK\x07\x08", "one part of a zip archive in several parts"),
    (0, b"PK00PK\x03\x04", "a zip archive made for several parts"),
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"\x1f\x8b", "a gzip file (.gz or .tar.gz)"),
    (0, b"BZh", "a bzip2 file (.bz2 or .tar.bz2)"),
    (0, b"\xfd7zXZ\x00", "an xz file (.xz or .tar.xz)"),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard file (.zst or .tar.zst)"),
    (257, b"ustar", "a tar archive"),
    (0, b"MSCF", "a Windows cabinet"),
    (0, b"xar!", "a xar archive"),
)
_OTHERS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF-", "a PDF document"),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (0, b"\xff\xd8\xff", "a JPEG image"),
    (0, b"GIF8", "a GIF image"),
    (0, b"MZ", "a Windows program"),
    (0, b"\x7fELF", "a Linux program"),
    (0, b"\xcf\xfa\xed\xfe", "a macOS program"),
    (0, b"\xd0\xcf\x11\xe0", "an old Microsoft Office document"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"\x80\x02", "a Python pickle"),
    (0, b"\x80\x04", "a Python pickle"),
    (0, b"\x80\x05", "a Python pickle"),
)


def archive_kind(head: bytes) -> str | None:
    """Which archive or compressed format starts with `head`; None when it is none of them."""
    return _match(head, _ARCHIVES)


def file_kind(head: bytes) -> str:
    """What starts with `head` (its first HEAD_BYTES), in words that fit after "this is"."""
    if not head:
        return "an empty file"
    known = _match(head, _ARCHIVES) or _match(head, _OTHERS)
    if known is not None:
        return known
    if not head.strip(b"\0"):
        return "nothing but zero bytes"
    text = _as_text(head)
    if text is None:
        return f"of an unknown format (it starts with the bytes {head[:4].hex(' ')})"
    if text.lstrip("\ufeff \t\r\n").lower().startswith(("<!doctype html", "<html")):
        return "an HTML page, perhaps a login page that was saved in place of the file"
    return "plain text"


def _as_text(head: bytes) -> str | None:
    # a cut may fall inside a character: the last three bytes may be left out
    whole = len(head) - 3 if len(head) >= HEAD_BYTES else len(head)
    try:
        text = head[:whole].decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if any(ord(char) < 32 and char not in "\t\n\r\f" for char in text) else text


def _match(head: bytes, signatures: tuple[tuple[int, bytes, str], ...]) -> str | None:
    for offset, signature, kind in signatures:
        if head.startswith(signature, offset):
            return kind
    return None
