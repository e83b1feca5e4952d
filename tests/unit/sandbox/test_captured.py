from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from grader.sandbox.captured import Captured


@given(st.lists(st.binary(max_size=40), max_size=30), st.integers(0, 60))
def test_the_beginning_and_the_end_are_kept(chunks: list[bytes], limit: int) -> None:
    captured = Captured(limit)
    for chunk in chunks:
        captured.feed(chunk)
        assert len(captured._head) + len(captured._tail) <= 2 * limit + 40
    whole = b"".join(chunks)
    assert captured.total_bytes == len(whole)
    assert captured.truncated is (len(whole) > limit)
    if len(whole) <= limit:
        assert captured.text() == whole.decode("utf-8", "replace")
    else:
        head, tail = whole[: limit // 2], whole[len(whole) - (limit - limit // 2) :]
        gap = f"\n[... {len(whole) - limit} bytes left out ...]\n".encode()
        assert captured.text() == (head + gap + tail).decode("utf-8", "replace")


def test_asking_twice_says_the_same() -> None:
    captured = Captured(4)
    captured.feed(b"abcdefgh")
    assert captured.text() == captured.text() == "ab\n[... 4 bytes left out ...]\ngh"
