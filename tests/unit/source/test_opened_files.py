"""Files opened by a name that stands in the source: found, and never guessed."""

from __future__ import annotations

import textwrap

import pytest

from grader.source.facts import FileUse, ModuleFacts
from grader.source.read import read_module

HEADER = (
    "import json, os, sys, argparse, pickle, gzip\nfrom pathlib import Path\n"
    "import cv2, torch, numpy as np, pandas as pd\nfrom PIL import Image\n"
    "import matplotlib.pyplot as plt\n"
)


def facts_of(source: str) -> ModuleFacts:
    result = read_module((HEADER + textwrap.dedent(source)).encode(), "a.py", (3, 11))
    assert isinstance(result, ModuleFacts)
    return result


def one(source: str) -> FileUse:
    (use,) = facts_of(source).files
    return use


@pytest.mark.parametrize(
    "source",
    [
        "json.load(open('labels.json'))",
        "with open('labels.json', 'r') as f:\n    x = json.load(f)",
        "open(file='labels.json', mode='rb')",
        "NAME = 'labels.json'\ndef f():\n    return open(NAME)",
        "Path('labels.json').read_text()",
        "p = Path('labels.json')\np.open()",
        "open(os.path.join('.', 'labels.json'))",
        "np.load('labels.json')",
        "torch.load('labels.json', map_location='cpu')",
        "cv2.imread('labels.json')",
        "Image.open('labels.json')",
        "pd.read_csv('labels.json')",
        "open('./labels.json')",
        "open('labels' + '.json')",
        "open(os.path.join(os.getcwd(), 'labels.json'))",
        "open(f'labels.json')",
        "gzip.open('labels.json')",
    ],
)
def test_a_file_read_from_the_working_directory(source: str) -> None:
    use = one(source)
    assert (use.path, use.anchor, use.writes, use.guarded) == ("labels.json", "cwd", False, False)


@pytest.mark.parametrize(
    "source",
    [
        "open(os.path.join(os.path.dirname(__file__), 'labels.json'))",
        "open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'labels.json'))",
        "HERE = Path(__file__).resolve().parent\n(HERE / 'labels.json').read_text()",
        "open(Path(__file__).parent / 'labels.json')",
        "open(Path(__file__).parent.joinpath('labels.json'))",
        "BASE = os.path.dirname(os.path.realpath(__file__))\nopen(BASE + '/labels.json')",
    ],
)
def test_a_file_read_from_the_modules_own_folder(source: str) -> None:
    assert (one(source).path, one(source).anchor) == ("labels.json", "file")


def test_the_folder_above_the_module() -> None:
    assert one("open(Path(__file__).parent.parent / 'x.json')").path == "../x.json"
    assert one("open(os.path.join(os.path.dirname(os.path.dirname(__file__)), 'x'))").path == "../x"


@pytest.mark.parametrize(
    "source",
    [
        "open(os.path.join(sys.argv[1], 'labels.json'))",
        "open(f'{folder}/labels.json')",
        "open(folder + '/labels.json')",
        "open(Path(folder) / 'labels.json')",
        "open(os.path.join(os.path.dirname(ckpt), 'labels.json'))",
    ],
)
def test_a_file_below_a_folder_of_the_command_line_is_known_by_its_end(source: str) -> None:
    assert (one(source).path, one(source).anchor) == ("labels.json", "unknown")


@pytest.mark.parametrize(
    "source",
    [
        "open(name)",
        "open(sys.argv[1])",
        "open(f'{name}.json')",
        "open(f'{name}_labels.json')",
        "open('/etc/passwd')",
        "open('labels.json', mode)",
        "name = 'a.json'\nname = 'b.json'\nopen(name)",
        "for name in ['a.json']:\n    open(name)",
        "x.read_text()",
        "loader.open('labels.json')",
        "def open(path):\n    pass\nopen('labels.json')",
        "args = parser.parse_args()\nopen(args.labels)",
        "open(*paths)",
        "np.load(path or 'labels.npy')",
    ],
)
def test_what_is_only_known_at_run_time_is_left_alone(source: str) -> None:
    assert facts_of(source).files == ()


@pytest.mark.parametrize(
    "source",
    [
        "json.dump({}, open('labels.json', 'w'))",
        "Path('labels.json').write_text('')",
        "torch.save(model.state_dict(), 'labels.json')",
        "frame.to_csv('labels.json', index=False)",
        "plt.savefig('labels.json')",
        "Image.fromarray(mask).save('labels.json')",
        "cv2.imwrite('labels.json', mask)",
        "with Path('labels.json').open('w') as f:\n    pass",
        "open('labels.json', 'ab')",
    ],
)
def test_writing_is_told_from_reading(source: str) -> None:
    assert (one(source).path, one(source).writes) == ("labels.json", True)


@pytest.mark.parametrize(
    "source",
    [
        "if os.path.exists('labels.json'):\n    open('labels.json')",
        "if not Path('x').is_file():\n    pass\nelse:\n    open('labels.json')",
        "try:\n    open('labels.json')\nexcept FileNotFoundError:\n    pass",
        "try:\n    open('labels.json')\nexcept (KeyError, OSError) as e:\n    pass",
        "try:\n    open('labels.json')\nexcept:\n    pass",
        "if args.resume:\n    open('labels.json')",
        "x = open('labels.json') if os.path.isfile('labels.json') else None",
    ],
)
def test_a_program_that_is_ready_for_the_absence_is_marked(source: str) -> None:
    assert one(source).guarded


def test_asking_before_and_leaving_early_is_known_by_the_path() -> None:
    facts = facts_of(
        """
        def load():
            if not os.path.exists("labels.json"):
                return {}
            return json.load(open("labels.json"))
        """
    )
    assert facts.asked_for == {"labels.json"}


def test_a_default_of_a_parameter_says_which_call_overrides_it() -> None:
    plain = one("def load(kind, path='labels.json'):\n    return open(path)").default
    assert plain is not None
    assert (plain.function, plain.position, plain.name) == ("load", 1, "path")
    method = one(
        "class A:\n    def __init__(self, path='labels.json'):\n        open(path)"
    ).default
    assert method is not None
    assert (method.function, method.position) == ("A", 0)
    keyword = one("def load(*, path='labels.json'):\n    open(path)").default
    assert keyword is not None
    assert keyword.name == "path"
