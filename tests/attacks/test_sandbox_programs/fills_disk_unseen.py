"""Writes to files that have no name any more."""

import os
import time

descriptors = []
for number in range(40):
    descriptor = os.open(f"filler-{number}", os.O_CREAT | os.O_WRONLY)
    os.unlink(f"filler-{number}")
    descriptors.append(descriptor)
    for _ in range(8):
        os.write(descriptor, b"x" * (1 << 20))
time.sleep(60)
