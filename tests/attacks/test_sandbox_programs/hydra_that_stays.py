"""A process that is always a new one, while its first parent waits."""

import os
import time

if os.fork() == 0:
    os.setsid()
    while True:
        if os.fork() > 0:
            os._exit(0)
time.sleep(60)
