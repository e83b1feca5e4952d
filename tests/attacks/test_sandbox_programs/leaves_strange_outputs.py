"""Everything but a regular file, in the place of masks."""

import contextlib
import os
import socket
import sys

secret = sys.argv[1]
os.mkdir("out")
with open("out/good.png", "w") as file:
    file.write("good")
os.symlink(secret, "out/symlink.png")
os.symlink("good.png", "out/inner-symlink.png")
os.symlink("/", "out/root")
os.mkfifo("out/fifo.png")
server = socket.socket(socket.AF_UNIX)
server.bind("out/socket.png")
with open("out/twin-a.png", "w") as file:
    file.write("twin")
os.link("out/twin-a.png", "out/twin-b.png")
with contextlib.suppress(OSError):
    os.link(secret, "out/hard-link.png")
with contextlib.suppress(OSError):
    os.mknod("out/device.png", 0o20666, os.makedev(1, 5))
with open("out/huge.png", "w") as file:
    file.truncate(200 << 20)
with open("out/setuid", "w") as file:
    file.write("#!/bin/sh\n")
os.chmod("out/setuid", 0o6777)
with open("out/line\nbreak.png", "w") as file:
    file.write("x")
with open(b"out/bad-\xff.png", "w") as file:
    file.write("x")
os.makedirs("out/" + "/".join("d" * 30) + "/deep")
os.symlink(os.path.dirname(secret), "linked")
os.symlink(secret, "submission.csv")
