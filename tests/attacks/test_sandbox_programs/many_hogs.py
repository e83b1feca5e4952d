"""Eight processes, each below the limit, together beyond it."""

import os
import time

for _ in range(8):
    if os.fork() == 0:
        kept = bytearray(b"x" * (100 << 20))
        time.sleep(60)
time.sleep(60)
