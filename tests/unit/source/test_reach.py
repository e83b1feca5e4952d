"""Which functions a script may call, by their names alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from grader.source.survey import survey_source


@pytest.fixture
def reached(tmp_path: Path):
    """The names of the functions that evaluate.py may run."""

    def run(files: Mapping[str, str]) -> set[str]:
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        (script,) = survey_source(tmp_path, {"evaluate": "evaluate.py"}, (3, 11)).scripts
        units = {facts.path: facts.units for facts in script.closure.read}
        return {units[path][unit].name for path, unit in script.reached} - {""}

    return run


def test_calls_are_followed_through_functions_and_modules(reached) -> None:
    files = {
        "evaluate.py": "from help import one as first\ndef main():\n    first()\n"
        "def spare():\n    two()\nif __name__ == '__main__':\n    main()\n",
        "help.py": "def one():\n    return three\ndef two(): ...\ndef three(): ...\n"
        "if __name__ == '__main__':\n    four()\ndef four(): ...\n",
    }
    assert reached(files) == {"main", "one", "three"}


def test_methods_need_their_class(reached) -> None:
    source = """
class Used:
    def __init__(self): ...
    def called(self): ...
    def spare(self): ...
class Spare:
    def __init__(self): ...
    def called(self): ...
Used().called()
"""
    assert reached({"evaluate.py": source}) == {"__init__", "called"}


def test_what_a_framework_calls_by_itself_is_reached(reached) -> None:
    source = """
import torch, click
class Data(torch.utils.data.Dataset):
    def __len__(self): ...
    def collate(self): ...
class Spare(torch.nn.Module):
    def forward(self): ...
@click.command()
def main():
    Data()
def outer():
    def inner(): ...
    return inner
"""
    assert reached({"evaluate.py": source}) == {"__len__", "collate", "main"}


def test_the_order_of_definitions_does_not_matter(reached) -> None:
    chain = [f"def f{n}():\n    f{n + 1}()\n" for n in range(30)]
    for lines in (chain, chain[::-1]):
        assert len(reached({"evaluate.py": "".join(lines) + "f0()\n"})) == 30
