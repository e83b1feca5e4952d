"""Honest: forked workers that share one large array; counted apart it would be too much."""

import os
import time

array = bytearray(b"x" * (120 << 20))
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        time.sleep(0.4)
        os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
print("honest", len(array))
