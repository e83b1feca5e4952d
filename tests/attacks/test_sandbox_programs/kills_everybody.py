"""One signal to all processes it may reach, itself included on some systems."""

import contextlib
import os
import signal

with contextlib.suppress(OSError):
    os.kill(-1, signal.SIGKILL)
print("still here", flush=True)
