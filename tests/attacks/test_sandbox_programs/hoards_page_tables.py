"""Leaves memory with the kernel, in the tables that map a huge empty range."""

import mmap
import time

size = 256 << 30
flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000  # MAP_NORESERVE
memory = mmap.mmap(-1, size, flags=flags, prot=mmap.PROT_READ)
for offset in range(0, size, 2 << 20):
    memory[offset]
time.sleep(60)
