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
        "cv2.CascadeClassifier('labels.json')",
        "cv2.dnn.readNet(model='labels.json')",
        "import importlib.util\nimportlib.util.spec_from_file_location('x', 'labels.json')",
        "import runpy\nrunpy.run_path('labels.json')",
        "import tarfile\ntarfile.open('labels.json', 'r:xz')",
        "np.memmap('labels.json', 'uint8', 'r')",
        "open(Path('data.json').with_name('labels.json'))",
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
        "BASE = Path(__file__).parent\nopen(f'{BASE}/labels.json')",
        "THIS = Path(__file__).resolve()\nopen(THIS.with_name('labels.json'))",
        "open(Path(__file__).parents[0] / 'labels.json')",
    ],
)
def test_a_file_read_from_the_modules_own_folder(source: str) -> None:
    assert (one(source).path, one(source).anchor) == ("labels.json", "file")


def test_the_folder_above_the_module() -> None:
    assert one("open(Path(__file__).parent.parent / 'x.json')").path == "../x.json"
    assert one("open(os.path.join(os.path.dirname(os.path.dirname(__file__)), 'x'))").path == "../x"
    assert one("open(Path(__file__).parents[2] / 'x')").path == "../../x"
    assert one("open(Path(__file__).parent.parent.parent / 'x')").path == "../../x"


@pytest.mark.parametrize(
    "source",
    [
        "open(os.path.join(sys.argv[1], 'labels.json'))",
        "open(f'{folder}/labels.json')",
        "open(folder + '/labels.json')",
        "open(Path(folder) / 'labels.json')",
        "open(os.path.join(os.path.dirname(ckpt), 'labels.json'))",
        "open(Path(sys.argv[1]).with_name('labels.json'))",
        "open(Path(sys.argv[1]).parent / 'labels.json')",
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
        "np.savez_compressed('labels.json'[:0] or file, a=1)\nopen('labels.json', 'w')",
        "frame.to_csv(path_or_buf='labels.json')",
        "plt.savefig(fname='labels.json')",
        "plt.imsave('labels.json', x)",
        "import torchvision\ntorchvision.utils.save_image(x, 'labels.json')",
        "import logging\nlogging.basicConfig(level=1, filename='labels.json')",
        "import shutil\nshutil.copy2(x, 'labels.json')",
        "os.replace('labels.tmp', 'labels.json')",
        "os.rename('labels.tmp', 'labels.json')",
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
        "RESUME = False\ndef f():\n    if RESUME:\n        open('labels.json')",
        "import configparser\nconfigparser.ConfigParser().read('labels.json')",
        "from PIL import ImageFont\nImageFont.truetype('labels.json')",
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


def test_a_switch_that_is_on_or_turned_on_later_guards_nothing() -> None:
    assert not one("RESUME = True\nif RESUME:\n    open('x')").guarded
    assert not one("RESUME = False\nif not RESUME:\n    open('x')").guarded
    assert not one("RESUME = False\nif x:\n    RESUME = True\nif RESUME:\n    open('x')").guarded
    assert not one("RESUME = False\nif RESUME:\n    pass\nelse:\n    open('x')").guarded


def test_numpy_gives_a_name_its_suffix() -> None:
    assert one("np.save('mean', x)").path == "mean.npy"
    assert one("np.save('mean.npy', x)").path == "mean.npy"
    assert one("np.savez('mean', x=x)").path == "mean.npz"
    assert one("np.savez_compressed(file='a/mean.npz', x=x)").path == "a/mean.npz"


def test_a_file_that_is_copied_into_a_folder_keeps_its_name() -> None:
    uses = facts_of("import shutil\nshutil.copy('runs/labels.json', 'final')").files
    assert {use.path for use in uses} == {"final", "final/labels.json"}


@pytest.mark.parametrize(
    ("source", "folder", "lists"),
    [
        ("os.listdir('protos')", "protos", "*"),
        ("sorted(os.scandir(path='protos'))", "protos", "*"),
        ("Path('protos').iterdir()", "protos", "*"),
        ("os.walk('protos')", "protos", "*"),
        ("import glob\nglob.glob('protos/*.npy')", "protos", "*.npy"),
        ("import glob\nglob.glob(os.path.join('protos', '*.npy'))", "protos", "*.npy"),
        ("import glob\nglob.glob('protos/**/*.npy', recursive=True)", "protos", "**/*.npy"),
        ("import glob\nglob.glob('protos/*/mean.npy')", "protos", "**/mean.npy"),
        ("import glob\nglob.glob('*.npy')", ".", "*.npy"),
        ("import glob\nglob.glob('protos/mean.npy')", "protos/mean.npy", ""),
        ("Path('protos').glob('*.npy')", "protos", "*.npy"),
        ("Path('protos').rglob('*.npy')", "protos", "**/*.npy"),
    ],
)
def test_a_folder_that_is_listed(source: str, folder: str, lists: str) -> None:
    use = one(source)
    assert (use.path, use.anchor, use.writes, use.lists) == (folder, "cwd", False, lists)


@pytest.mark.parametrize(
    "source",
    [
        "os.listdir(sys.argv[2])",
        "for name in os.listdir(folder):\n    os.listdir(os.path.join(folder, name))",
        "import glob\nglob.glob(os.path.join(folder, name))",
        "root.glob('*.jpg')",
    ],
)
def test_a_folder_that_is_only_known_at_run_time_is_left_alone(source: str) -> None:
    assert facts_of(source).files == ()
