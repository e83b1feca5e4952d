"""What ties a program to its author's machine."""

from __future__ import annotations

import textwrap

import pytest

from grader.source.facts import ModuleFacts
from grader.source.read import read_module


def facts_of(source: str) -> ModuleFacts:
    header = "import os, sys, argparse, torch\n"
    result = read_module((header + textwrap.dedent(source)).encode(), "a.py", (3, 11))
    assert isinstance(result, ModuleFacts)
    return result


@pytest.mark.parametrize(
    "path",
    [
        "/home/asha/dl/data",
        "/Users/asha/Downloads/train",
        "/content/drive/MyDrive/Colab Notebooks/x.pth",
        "/kaggle/input/butterflies/train",
        "/scratch/ee/x",
        "C:\\Users\\asha\\data",
        "D:/datasets/train",
        "~/data",
    ],
)
def test_a_path_of_one_machine_is_found(path: str) -> None:
    (found,) = facts_of(f"DATA = {path!r}").absolute_paths
    assert (found.text, found.line) == (path, 2)
    assert [item.text for item in facts_of(f"x = f'/home/me/{{n}}/{path[:0]}'").absolute_paths]


@pytest.mark.parametrize(
    "source",
    [
        "'''/home/asha/data is where my data lies'''",
        "def f():\n    '''/home/asha/x'''",
        "parser.add_argument('--data', default='/home/asha/data', help='/home/x')",
        "def main(data='/home/asha/data'):\n    pass",
        "data = sys.argv[1] if len(sys.argv) > 1 else '/home/asha/data'",
        "if len(sys.argv) > 1:\n    d = sys.argv[1]\nelse:\n    d = '/home/asha/data'",
        "if os.path.exists('/kaggle/input/x'):\n    d = '/kaggle/input/x'",
        "if 'google.colab' in sys.modules:\n    os.chdir('/content/drive/MyDrive')",
        "root = '/kaggle/input/x' if ON_KAGGLE else '.'",
        "root = '.' if not IN_COLAB else '/content/drive/x'",
        "x = '/dev/null'",
        "x = '/tmp/x'",
        "x = '/'",
        "x = 'home/asha'",
        "x = 'a:b'",
        "x = os.path.expanduser('~/.cache/torch')",
        "x = 'http://home/x'",
        "x = 'N: /home/x'",
    ],
)
def test_texts_and_defaults_that_the_command_line_overrides_are_left_alone(source: str) -> None:
    assert facts_of(source).absolute_paths == ()


@pytest.mark.parametrize(
    "source",
    [
        "model.cuda()",
        "x = x.cuda(0)",
        "model.to('cuda')",
        "model.to('cuda:0')",
        "device = torch.device('cuda')",
        "device = 'cuda'",
        "torch.load(p, map_location='cuda')",
        "torch.zeros(3, device='cuda:1')",
    ],
)
def test_a_gpu_taken_for_granted_is_found(source: str) -> None:
    assert len(facts_of(source).cuda) == 1


@pytest.mark.parametrize(
    "source",
    [
        "device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "device = 'cuda' if torch.cuda.is_available() else 'cpu'",
        "device = 'cpu'\nif torch.cuda.is_available():\n    device = 'cuda'",
        "device = 'cuda'\nif not torch.cuda.is_available():\n    device = 'cpu'",
        "use_cuda = torch.cuda.is_available()\nif use_cuda:\n    model.cuda()",
        "if args.gpu:\n    model = model.cuda()",
        "torch.cuda.is_available() and model.cuda()",
        "if device == 'cuda':\n    x = x.cuda()",
        "if device.type == 'cuda':\n    torch.cuda.empty_cache()\n    x.to('cuda')",
        "try:\n    model.cuda()\nexcept RuntimeError:\n    pass",
        "if IN_COLAB:\n    model.cuda()",
        "model.to(device)",
        "torch.cuda.manual_seed(0)",
        "torch.cuda.empty_cache()",
        "with torch.autocast(device_type='cuda'):\n    pass",
        "scaler = torch.amp.GradScaler('cuda')",
        "parser.add_argument('--device', default='cuda')",
        "def train(device='cuda'):\n    pass",
        "torch.load(p, map_location='cpu')",
    ],
)
def test_a_gpu_that_was_asked_for_is_no_fault(source: str) -> None:
    assert facts_of(source).cuda == ()


@pytest.mark.parametrize(
    "source",
    [
        "path = sys.argv[1]",
        "from sys import argv\npath = argv[1]",
        "args = argparse.ArgumentParser().parse_args()",
        "if len(sys.argv) < 2:\n    sys.exit()",
    ],
)
def test_a_command_line_read_at_import_is_found(source: str) -> None:
    assert len(facts_of(source).argv_at_import) == 1


@pytest.mark.parametrize(
    "source",
    [
        "def main():\n    return sys.argv[1]",
        "if __name__ == '__main__':\n    path = sys.argv[1]",
        "args = parser.parse_args([])",
        "class A:\n    def f(self):\n        return sys.argv",
        "f = lambda: sys.argv[1]",
    ],
)
def test_a_command_line_read_when_called_is_no_fault(source: str) -> None:
    assert facts_of(source).argv_at_import == ()
