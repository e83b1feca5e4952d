"""One student's submission from a seed: {path: source text}."""

from __future__ import annotations

import ast
import random
import re

from benchmarks.similarity_classes.grammar import GRAMMAR, NAMES
from benchmarks.similarity_classes.obfuscate import Files

_PART = re.compile(r"<(!?)([A-Za-z_0-9]+|-?\d+\.\.-?\d+)>")
_FILES = {
    "model.py": "model_file",
    "data.py": "data_file",
    "train.py": "train_file",
    "evaluate.py": "evaluate_file",
}


class Student:
    """Draws from the grammar with habits and words of his own."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.names = {thing: rng.choice(words) for thing, words in NAMES.items()}
        self.habits: dict[str, str] = {}
        self.serial = 0

    def expand(self, name: str) -> str:
        """A whole production, every part of it expanded."""
        return self._lines(self.rng.choice(GRAMMAR[name])).format_map(self.names)

    def _lines(self, text: str) -> str:
        lines = []
        for line in text.split("\n"):
            indent = line[: len(line) - len(line.lstrip())]
            filled = _PART.sub(self._part, line)
            lines.append(filled.replace("\n", "\n" + indent))
        return "\n".join(lines)

    def _part(self, match: re.Match[str]) -> str:
        habit, name = match.groups()
        if ".." in name:
            low, high = name.split("..")
            number = self.rng.randint(int(low), int(high))
            return (
                str(number).zfill(len(low)) if low.startswith("0") and len(low) > 1 else str(number)
            )
        if habit:
            if name not in self.habits:
                self.habits[name] = self._lines(self.rng.choice(GRAMMAR[name]))
            return self.habits[name]
        return self._lines(self.rng.choice(GRAMMAR[name]))


def submission(seed: int | str, lines: int = 500) -> Files:
    """A submission of at least about `lines` lines, different for every seed."""
    rng = random.Random(f"submission {seed}")
    student = Student(rng)
    files = {path: student.expand(name) for path, name in _FILES.items()}
    modules = [f"{student.expand('verb')}_{student.expand('noun')}.py" for _ in range(4)]
    while sum(text.count("\n") for text in files.values()) < lines * rng.uniform(0.7, 1.3):
        path = rng.choice(modules)
        text = files.get(path) or student.expand("helper_file")
        files[path] = f"{text}\n\n{student.expand('helper')}"
    for path, text in files.items():
        ast.parse(text, path)  # a production that is no Python is a mistake of the grammar
    return files
