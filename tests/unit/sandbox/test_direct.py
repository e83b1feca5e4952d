from __future__ import annotations

from pathlib import Path

import pytest

from grader.sandbox.direct import translate

PLACES = {
    "/work": Path("/tmp/run-x/work"),
    "/test": Path("/host/images"),
    "/test-more": Path("/host/more"),
    "/checkpoint/a.pth": Path("/host/b.pth"),
}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("/work/model.pth", "/tmp/run-x/work/model.pth"),
        ("/test", "/host/images"),
        ("/test/", "/host/images/"),
        ("/test-more/x", "/host/more/x"),
        ("/testing", "/testing"),
        ("/checkpoint/a.pth", "/host/b.pth"),
        ("test", "test"),
        ("--images", "--images"),
        ("", ""),
        ("/usr/bin", "/usr/bin"),
    ],
)
def test_inside_paths_become_host_paths(word: str, expected: str) -> None:
    assert translate(word, PLACES) == expected
