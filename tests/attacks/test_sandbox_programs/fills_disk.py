"""Writes until the disk is full."""

chunk = b"x" * (1 << 20)
for number in range(1000):
    with open(f"filler-{number}", "wb") as file:
        for _ in range(8):
            file.write(chunk)
