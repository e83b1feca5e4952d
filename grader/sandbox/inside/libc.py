"""The few functions of the C library that Python's `os` lacks.

What `ctypes` would make of them; importing all of `ctypes` takes as long as half of the
interpreter's start, so its C part is used directly.
"""

from __future__ import annotations

import _ctypes
import os

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38


class _Int(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "i"


class _UnsignedShort(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "H"


class _CharPointer(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "z"


class FilterProgram(_ctypes.Structure):
    """struct sock_fprog of linux/filter.h: the number of instructions, and their bytes."""

    _fields_ = (("length", _UnsignedShort), ("instructions", _CharPointer))

    def pointer(self) -> object:
        return _ctypes.byref(self)


class CFunction(_ctypes.CFuncPtr):
    """Takes ints, bytes (as pointers) and None, returns an int, keeps errno for `check`."""

    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO
    _restype_ = _Int


def c_function(name: str) -> CFunction:
    """The C library's function `name`."""
    this_process = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]
    return CFunction(_ctypes.dlsym(this_process, name))


def check(result: int, what: str) -> int:
    """`result` when it is not negative; otherwise OSError with what `errno` says of `what`."""
    if result < 0:
        code = _ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


prctl = c_function("prctl")
syscall = c_function("syscall")
