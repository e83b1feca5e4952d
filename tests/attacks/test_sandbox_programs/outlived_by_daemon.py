"""Ends at once, and leaves behind a daemon that ignores signals and holds stdout open."""

import os
import signal
import time

if os.fork() == 0:
    os.setsid()
    if os.fork() > 0:
        os._exit(0)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    while True:
        time.sleep(60)
os.wait()
print("the parent is done", flush=True)
