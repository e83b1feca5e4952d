"""Starts threads until somebody stops it."""

import contextlib
import threading
import time

while True:
    with contextlib.suppress(RuntimeError):
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
