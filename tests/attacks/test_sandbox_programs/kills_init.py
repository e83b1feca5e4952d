"""Attacks the sandbox's own first process, then exits with a number to be seen."""

import contextlib
import ctypes
import os
import signal
import sys

parent = os.getppid()
for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGCHLD):
    with contextlib.suppress(OSError):
        os.kill(parent, number)
for name in ("mem", "fd", "environ"):
    path = f"/proc/{parent}/{name}"
    with contextlib.suppress(OSError):
        if os.path.isdir(path):
            for entry in os.listdir(path):
                with contextlib.suppress(OSError):
                    os.write(os.open(f"{path}/{entry}", os.O_WRONLY), b"exit 0 0 0")
                    print("wrote to", entry)
        else:
            print("read", len(os.read(os.open(path, os.O_RDONLY), 10)), "bytes of", name)
if ctypes.CDLL(None).ptrace(16, parent, 0, 0) == 0:  # PTRACE_ATTACH
    print("attached")
sys.exit(3)
