"""A process that is always a new one: each head forks the next and dies."""

import os
import time

if os.fork() == 0:
    os.setsid()
    while True:
        if os.fork() > 0:
            os._exit(0)
print("grown", flush=True)
time.sleep(0.2)
