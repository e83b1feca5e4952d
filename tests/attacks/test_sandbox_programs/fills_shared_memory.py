"""Hides memory in files of shared memory, named and unnamed."""

import contextlib
import os
import time

descriptors = []
for number in range(100):
    path = f"/dev/shm/{os.environ['ATTACK_MARK']}-{number}"
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
    if number % 2:
        os.unlink(path)
    descriptors.append(descriptor)
    with contextlib.suppress(OSError):
        for _ in range(20):
            os.write(descriptor, b"x" * (1 << 20))
time.sleep(60)
