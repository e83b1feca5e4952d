"""docs/tutorial.md works as written: its files are saved, its commands are run."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
NAMES = ["eight", "five", "four", "nine", "one", "seven", "six", "three", "two", "zero"]
VALUES = {
    name: str(number) for name, number in zip(NAMES, (8, 5, 4, 9, 1, 7, 6, 3, 2, 0), strict=True)
}
_FILE = re.compile(
    r"`((?:digits|student)/[\w.]+)`[^`]*?\n\n(?:[^`\n]+\n+)*?```\w+\n(.*?)```", re.DOTALL
)
_COMMAND = re.compile(r"```console\n\$ (.*?)\n```")
HIDDEN, SIDE_PX, CELLS = 64, 28, 16


def test_the_definition_is_short() -> None:
    definition = dict(_FILE.findall(TUTORIAL))["digits/assignment.toml"]
    lines = [line for line in definition.splitlines() if line.strip()]

    assert len(lines) < 30


def test_a_new_assignment_grades_its_first_zip(tmp_path: Path) -> None:
    files = _FILE.findall(TUTORIAL)
    assert [name for name, _ in files] == [
        "digits/assignment.toml",
        "digits/classes.txt",
        "digits/submission.schema.json",
        "digits/outputs.schema.json",
        "student/evaluate.py",
    ]
    for name, text in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    _draw_hidden_digits(tmp_path / "hidden")
    _train(tmp_path / "student" / "weights.npz")

    commands = _COMMAND.findall(TUTORIAL)
    assert [command.split()[1] for command in commands] == ["assignments", "pack", "score"]
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "grader"
        ended = subprocess.run(
            [Path(sys.executable).with_name("grader"), *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr

    report = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))
    assert report["verdict"] == "graded"
    assert report["marks"] == {"given": "5", "max": "5", "manual": "0"}
    assert report["measurements"][0]["value"] == pytest.approx(1.0)
    assert report["findings"] == []


def _digit(name: str, seed: int) -> np.ndarray:
    """A digit as OpenCV writes it, a little moved and noisy: (SIDE_PX, SIDE_PX) uint8."""
    generator = np.random.default_rng([NAMES.index(name), seed])
    picture = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    x, y = generator.integers(5, 8), generator.integers(21, 24)
    cv2.putText(picture, VALUES[name], (int(x), int(y)), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 2)
    noise = generator.integers(0, 30, picture.shape, dtype=np.uint8)
    return cv2.add(picture, noise)


def _draw_hidden_digits(folder: Path) -> None:
    for name in NAMES:
        (folder / name).mkdir(parents=True)
        for seed in range(100, 103):
            cv2.imwrite(str(folder / name / f"{name}_{seed}.png"), _digit(name, seed))


def _train(path: Path) -> None:
    """Random hidden units and an output layer by least squares."""
    generator = np.random.default_rng(0)
    rows, labels = [], []
    for label, name in enumerate(NAMES):
        for seed in range(30):
            small = cv2.resize(_digit(name, seed), (CELLS, CELLS), interpolation=cv2.INTER_AREA)
            rows.append(small.reshape(-1) / 255)
            labels.append(label)
    pixels = np.array(rows, np.float32)
    w1 = generator.normal(0, 0.3, (CELLS * CELLS, HIDDEN)).astype(np.float32)
    b1 = generator.normal(0, 0.3, HIDDEN).astype(np.float32)
    hidden = np.maximum(pixels @ w1 + b1, 0)
    wide = np.concatenate([hidden, np.ones((len(hidden), 1), np.float32)], axis=1)
    gram = wide.T @ wide + 1e-2 * np.eye(wide.shape[1])
    solution = np.linalg.solve(gram, wide.T @ np.eye(len(NAMES))[labels])
    np.savez(path, w1=w1, b1=b1, w2=solution[:-1], b2=solution[-1])
