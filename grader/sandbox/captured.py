"""What is kept of a stream that may never end."""

from __future__ import annotations


class Captured:
    """The first and the last bytes of a stream, `limit_bytes` of them at most.

    The beginning says what was set up, the end says what went wrong; what lay between is counted.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._head_bytes = limit_bytes // 2
        self._tail_bytes = limit_bytes - self._head_bytes
        self._head = bytearray()
        self._tail = bytearray()
        self.total_bytes = 0

    def feed(self, chunk: bytes) -> None:
        self.total_bytes += len(chunk)
        room = self._head_bytes - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:]
        if len(self._tail) > 2 * self._tail_bytes:  # cut rarely, so that a flood costs little
            self._cut()

    def _cut(self) -> None:
        del self._tail[: max(0, len(self._tail) - self._tail_bytes)]

    @property
    def truncated(self) -> bool:
        return self.total_bytes > self._head_bytes + self._tail_bytes

    def text(self) -> str:
        """As UTF-8, with what is not replaced; where bytes were left out, a line says how many."""
        self._cut()
        kept = len(self._head) + len(self._tail)
        gap = b""
        if self.truncated:
            gap = b"\n[... %d bytes left out ...]\n" % (self.total_bytes - kept)
        return (bytes(self._head) + gap + bytes(self._tail)).decode("utf-8", "replace")
