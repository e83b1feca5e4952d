"""Burns the time of several processors, hiding it in children."""

import os

for _ in range(3):
    if os.fork() == 0:
        break
while True:
    sum(range(100_000))
