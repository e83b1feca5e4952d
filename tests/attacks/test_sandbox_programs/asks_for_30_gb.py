"""One allocation far beyond the limit."""

print(len(bytearray(30 << 30)))
