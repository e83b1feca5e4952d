"""Landlock: the kernel's file rules that need neither root nor namespaces.

The numbers are linux/landlock.h's. Each version of the interface (the ABI) added rights; what an
older kernel cannot hold back, the system call filter refuses instead (see `seccomp.shared_filter`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

from grader.sandbox.inside.libc import syscall
from grader.sandbox.launch import Landlock

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_MAKE_SOCK, _MAKE_FIFO, _MAKE_SYM = 1 << 9, 1 << 10, 1 << 12
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15

READ = _EXECUTE | _READ_FILE | _READ_DIR
WRITE = (
    READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _MAKE_SOCK
    | _MAKE_FIFO | _MAKE_SYM | _REFER | _TRUNCATE
)  # fmt: skip
# Files by their exact name: shared memory among the command's own processes, not a listing.
EXCHANGE = _READ_FILE | _WRITE_FILE | _REMOVE_FILE | _MAKE_REG | _REFER | _TRUNCATE
DEVICE = _READ_FILE | _WRITE_FILE | _IOCTL_DEV
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV

# ABI → how many file rights it knows
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_ABI_NETWORK, _ABI_SCOPES = 4, 6
_TCP_BIND_AND_CONNECT = 3
_ABSTRACT_SOCKETS_AND_SIGNALS = 3
_CREATE_RULESET_VERSION = 1


def landlock_abi(number: int) -> int:
    """The ABI of the running kernel, 0 without Landlock. `number`: landlock_create_ruleset's."""
    version: int = syscall(number, None, 0, _CREATE_RULESET_VERSION)
    return max(0, version)


def build_landlock(abi: int, rules: Iterable[tuple[Path, int]]) -> Landlock:
    """All rights that `abi` knows are withheld but for `rules`; missing paths are left out.

    Network ports have no rule, so none may be used; signals and abstract sockets stay inside.
    """
    known = _FILE_RIGHTS[min(abi, max(_FILE_RIGHTS))]
    handled = (1 << known) - 1
    words = [handled]
    if abi >= _ABI_NETWORK:
        words.append(_TCP_BIND_AND_CONNECT)
    if abi >= _ABI_SCOPES:
        words.append(_ABSTRACT_SOCKETS_AND_SIGNALS)
    return Landlock(
        ruleset=struct.pack(f"={len(words)}Q", *words),
        rules=[
            (str(path), rights & handled & (-1 if path.is_dir() else _OF_A_FILE))
            for path, rights in rules
            if path.exists()
        ],
    )
