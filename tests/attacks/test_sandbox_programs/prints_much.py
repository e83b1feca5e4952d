"""Prints more than is kept, but no flood."""

import sys

print("first line")
for number in range(20_000):
    print("progress", number)
print("last line")
print("first error", "e" * 200_000, "last error", file=sys.stderr)
