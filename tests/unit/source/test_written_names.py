"""Which names a program writes: spelled out, in part, or handed to a helper that writes them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest

from grader.source.survey import survey_source
from grader.source.written_names import WrittenNames

HEADER = (
    "import argparse, json, os, shutil, sys\nfrom pathlib import Path\n"
    "import cv2, torch, numpy as np\n"
)


@pytest.fixture
def written(tmp_path: Path):
    def run(source: str, helpers: Mapping[str, str] | None = None) -> WrittenNames:
        (tmp_path / "evaluate.py").write_text(HEADER + textwrap.dedent(source))
        for name, text in (helpers or {}).items():
            (tmp_path / name).write_text(HEADER + textwrap.dedent(text))
        (script,) = survey_source(tmp_path, {"evaluate": "evaluate.py"}, (3, 11)).scripts
        return script.written

    return run


@pytest.mark.parametrize(
    "source",
    [
        "open('out/names.json', 'w')",
        "open(os.path.join(sys.argv[2], 'names.json'), 'w')",
        "def dump(path, x):\n    with open(path, 'w') as f:\n        json.dump(x, f)\n"
        "dump('names.json', 1)",
        "def dump(x, *, path):\n    open(path, 'w')\ndump(1, path='names.json')",
        "def dump(path, x):\n    Path(path).write_text(x)\ndump('names.json', 1)",
        "def dump(path: Path, x):\n    path.write_text(x)\ndump(Path('names.json'), 1)",
        "def dump(name):\n    open(os.path.join('out', name), 'w')\ndump('names.json')",
        "def inner(p):\n    open(p, 'w')\ndef outer(p):\n    inner(p)\nouter('names.json')",
        "class Log:\n    def __init__(self, path):\n        self.file = open(path, 'w')\n"
        "Log('names.json')",
        "class Log:\n    def dump(self, path):\n        open(path, 'w')\nLog().dump('names.json')",
        "def dump(path):\n    open(path, 'w')\ndump('names.json' if x else 'other.json')",
        "class Log:\n    def __init__(self, path='names.json'):\n        self.path = path\n"
        "    def run(self):\n        open(self.path, 'w')\nLog().run()",
        "class Log:\n    def __init__(self, path):\n        self.path = path\n"
        "    def run(self):\n        open(self.path, 'w')\nLog('names.json').run()",
        "class Config:\n    names = 'names.json'\nopen(Config.names, 'w')",
        "name = 'other.json'\nname = 'names.json'\nopen(name, 'w')",
        "open(sys.argv[3] if len(sys.argv) > 3 else 'names.json', 'w')",
        "out = args.out or 'names.json'\nopen(out, 'w')",
        "os.replace(x, 'names.json')",
        "open(f'{folder}/names.json', 'w')",
        "open(f'na{middle}es.json', 'w')",
        "open('na%s.json' % rest, 'w')",
        "open('na{}.json'.format(rest), 'w')",
        "open('na' + rest + '.json', 'w')",
    ],
)
def test_a_name_that_is_surely_written(written, source: str) -> None:
    names = written(source)
    assert names.hold("names.json")
    assert not names.hold("labels.json")


def test_a_helper_in_another_module_writes_what_it_is_given(written) -> None:
    names = written(
        "import files\nfrom files import dump as d\nd('a.json')\nfiles.dump('b.json')",
        {"files.py": "def dump(path):\n    open(path, 'w')\n"},
    )
    assert names.hold("a.json")
    assert names.hold("b.json")
    assert not names.may_hold("c.json")


@pytest.mark.parametrize(
    "source",
    [
        "open(make_name(), 'w')",
        "def dump(path):\n    open(path, 'w')\nmap(dump, names)",
        "def dump(path):\n    open(path, 'w')\nfor name in names:\n    dump(name)",
        "for n in names:\n    open(f'{n}.json', 'w')",
        "shutil.unpack_archive('data.zip')",
        "archive.extractall()",
        "open(os.path.join(out, f'{n}.json'), 'w')",
    ],
)
def test_a_name_that_may_be_written(written, source: str) -> None:
    names = written(source)
    assert names.may_hold("names.json")
    assert not names.hold("names.json")


@pytest.mark.parametrize(
    "source",
    [
        "cv2.imwrite(path, mask)",
        "def write_mask(path, mask):\n    cv2.imwrite(path, mask)\n"
        "for name in os.listdir(sys.argv[2]):\n    write_mask(os.path.join('masks', name), 1)",
        "open(sys.argv[2], 'w')",
        "args = get_args()\nopen(args.out, 'w')",
        "opt = argparse.ArgumentParser().parse_args()\nopen(opt.out, 'w')",
        "def write(path):\n    open(path, 'w')\nwrite(sys.argv[2])",
        "def write(path, text):\n    open(path, 'w')\nwrite('a.csv', 1)\nfor x in y:\n    f.write(x)",
        "torch.save(state, path)",
        "np.save(path, x)",
        "for n in names:\n    open(f'logs/{n}', 'w')",
        "Path(x).mkdir()\nos.makedirs(y)",
        "def never_called(path):\n    open(path, 'w')",
        "def never_called():\n    open('names.json', 'w')",
        "open('names.json')",
    ],
)
def test_what_is_written_under_another_name_explains_nothing(written, source: str) -> None:
    names = written(source)
    assert not names.hold("names.json")
    assert not names.may_hold("names.json")


def test_a_pattern_below_a_folder_holds_there_only(written) -> None:
    names = written("for n in x:\n    np.save(f'./cache/epoch_{n}', 1)")
    assert names.hold("cache/epoch_2.npy")
    assert not names.hold("epoch_2.npy")
    assert not names.hold("cache/epoch_2.json")


def test_numbered_files_are_those_that_were_written(written) -> None:
    names = written("for n in x:\n    np.save(f'epoch_{n}.npy', 1)")
    assert names.hold("epoch_2.npy")
    assert not names.hold("stage_2.npy")


def test_helpers_that_hand_on_to_each_other_come_to_an_end(written) -> None:
    names = written(
        "def f(p):\n    g(p)\n    g('x' + p)\ndef g(p):\n    f(p)\n    open(p, 'w')\nf('names.json')"
    )
    assert names.hold("names.json")


def test_folders_that_are_made(written) -> None:
    names = written(
        "def make(path):\n    os.makedirs(path)\nmake('cache')\n"
        "for n in x:\n    Path('out', n).mkdir()"
    )
    assert names.may_make("cache")
    assert names.may_make("out/one")
    assert not names.may_make("classes")
