# ruff: noqa: PLC0415 - only the tool that is asked for is imported
"""Score a folder of submissions with another tool, in a process of its own.

    python peer_scores.py TOOL FOLDER OUT.json

Stands alone: the interpreter that runs it has the tool, and may lack this project.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any


def copydetect_scores(folder: Path) -> list[tuple[str, str, float]]:
    """Submissions are compared, not files: each is written as one file first."""
    from copydetect import CopyDetector

    with tempfile.TemporaryDirectory() as scratch:
        for submission in sorted(folder.iterdir()):
            texts = [path.read_text("utf-8") for path in sorted(submission.rglob("*.py"))]
            (Path(scratch) / f"{submission.name}.py").write_text("\n\n".join(texts), "utf-8")
        detector = CopyDetector(
            test_dirs=[scratch], extensions=["py"], display_t=0.0, silent=True, autoopen=False
        )
        detector.run()
        names = [Path(name).stem for name in detector.test_files]
        matrix = detector.similarity_matrix.max(axis=2)
    return [
        (a, b, float(max(matrix[i, j], matrix[j, i])))
        for i, a in enumerate(names)
        for j, b in enumerate(names)
        if a < b
    ]


def compare50_scores(folder: Path) -> list[tuple[str, str, float]]:
    """The scores of its pass `structure`, without the comparison that follows them."""
    import compare50
    from compare50 import passes

    comparing: Any = passes.structure
    submissions = []
    for place in sorted(folder.iterdir()):
        files = [path.relative_to(place) for path in sorted(place.rglob("*.py"))]
        submissions.append(
            compare50.Submission(place, files, preprocessor=_Preprocessor(comparing.preprocessors))
        )
    found = compare50.rank(submissions, [], set(), comparing, n=len(submissions) ** 2)
    return [
        (*sorted((score.sub_a.path.name, score.sub_b.path.name)), float(score.score))
        for score in found
    ]


class _Preprocessor:
    """A pass's steps, one after the other; a class, because compare50 sends it to processes."""

    def __init__(self, steps: Any) -> None:
        self.steps = steps

    def __call__(self, tokens: Any) -> Any:
        for step in self.steps:
            tokens = step(tokens)
        return tokens


TOOLS = {"copydetect": copydetect_scores, "compare50": compare50_scores}


def main() -> None:
    tool, folder, out = sys.argv[1:]
    scores = TOOLS[tool](Path(folder))
    Path(out).write_text(json.dumps(scores), "utf-8")


if __name__ == "__main__":
    main()
