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
        "/Volumes/Data/butterflies",
        "/data/butterflies/train",
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
        "data = root + '/data/train'",
        "data = root + f'/data/{n}'",
        "data = f'{root}/data/train'",
        "name = path.replace('/data/images', '/data/masks')",
        "if '/data/train' in path:\n    pass",
        "x = file['/data/images']",
        "parts = path.split('/data/')",
        "x = '/data'",
        "x = '/home/'",
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
    ("source", "text"),
    [
        ("x = f'/home/{user}/data'", "/home/"),
        ("x = '/home/' + user", "/home/"),
        ("x = '/data/' + name + '/train'", "/data/"),
    ],
)
def test_a_path_of_one_machine_is_found_by_its_beginning(source: str, text: str) -> None:
    assert [item.text for item in facts_of(source).absolute_paths] == [text]


DECLARED = "parser.add_argument('--train_dir', '-t', default='/home/me/x')\n"
READ = DECLARED + "args = parser.parse_args()\nos.listdir(args.train_dir)\n"


def test_the_default_of_an_option_is_marked_with_who_reads_it() -> None:
    (path,) = facts_of(READ).absolute_paths
    assert (path.flags, path.read_in, path.parameter) == (("--train_dir", "-t"), {0}, None)
    (path,) = facts_of(DECLARED + "def f(a):\n    return a.train_dir\n").absolute_paths
    assert path.read_in == {2}
    (path,) = facts_of(
        "import click\n@click.option('--root', default='/home/me/x')\n"
        "def main(root):\n    os.listdir(root)\n"
    ).absolute_paths
    assert path.flags == ("--root",)


@pytest.mark.parametrize(
    "source",
    [
        DECLARED,
        DECLARED + "train_dir = 'x'\nprint(train_dir)",
        READ + "args.train_dir = 'x'",
        READ + "setattr(args, 'train_dir', 'x')",
        READ + "parser.set_defaults(train_dir='x')",
        DECLARED + "if os.path.isdir(args.train_dir):\n    os.listdir(args.train_dir)",
        READ + "ok = os.path.exists(args.train_dir)",
        DECLARED + "try:\n    os.listdir(args.train_dir)\nexcept OSError:\n    pass",
        READ.replace("default", "required=True, default"),
        READ.replace("'--train_dir', '-t'", "'train_dir', nargs='?'"),
        READ.replace("add_argument", "get_setting"),
    ],
)
def test_a_default_that_is_not_taken_as_it_comes_is_left_alone(source: str) -> None:
    assert facts_of(source).absolute_paths == ()


def test_the_default_of_a_parameter_is_marked_as_such() -> None:
    (path,) = facts_of("def f(a, folder='/home/me/x'):\n    os.listdir(folder)").absolute_paths
    assert path.parameter is not None
    assert path.parameter[:3] == ("f", 1, "folder")
    (path,) = facts_of(
        "class A(B):\n    def __init__(self, *, folder=os.path.join('/home/me', 'x')):\n"
        "        self.names = os.listdir(folder)"
    ).absolute_paths
    assert path.parameter is not None
    assert path.parameter[:3] == ("A", 0, "folder")


@pytest.mark.parametrize(
    "source",
    [
        "def f(folder='/home/me/x'):\n    pass",
        "def f(folder='/home/me/x'):\n    folder = g(folder)",
        "def f(folder='/home/me/x'):\n    if os.path.isdir(folder):\n        os.listdir(folder)",
        "@click.command()\ndef f(folder='/home/me/x'):\n    os.listdir(folder)",
        "f = lambda folder='/home/me/x': os.listdir(folder)",
    ],
)
def test_a_parameter_that_may_be_another_is_left_alone(source: str) -> None:
    assert facts_of(source).absolute_paths == ()


OPTION = "parser.add_argument('--device', default='cuda')\na = parser.parse_args()\n"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("torch.load(p, map_location=a.device)", "map_location=a.device"),
        ("model.to(a.device)", ".to(a.device)"),
        ("device = torch.device(a.device)", "torch.device(a.device)"),
        ("device = a.device\nmodel.to(device)", ".to(a.device)"),
        ("torch.zeros(3, device=a.device)", "device=a.device"),
        ("def main(args):\n    model.to(args.device)", ".to(args.device)"),
        ("model.to(self.args.device)", ".to(args.device)"),
    ],
)
def test_a_gpu_that_is_an_options_default_is_found(source: str, text: str) -> None:
    (use,) = facts_of(OPTION + source).cuda
    assert use.text == f"{text} (--device is 'cuda' by default)"
    assert use.flags == ("--device",)


@pytest.mark.parametrize(
    "source",
    [
        "device = torch.device(a.device if torch.cuda.is_available() else 'cpu')",
        "if not torch.cuda.is_available():\n    a.device = 'cpu'\nmodel.to(a.device)",
        "device = a.device\nif not torch.cuda.is_available():\n    device = 'cpu'\nx.to(device)",
        "has = torch.cuda.is_available()\nif has:\n    model.to(a.device)",
        "try:\n    model.to(a.device)\nexcept RuntimeError:\n    pass",
        "device = choose(a.device)\nmodel.to(device)",
        "Trainer(device=a.device)",
        "x.to(y.device)",
        "x.to(model.device)",
    ],
)
def test_a_default_gpu_that_is_asked_for_is_no_fault(source: str) -> None:
    assert facts_of(OPTION + source).cuda == ()


@pytest.mark.parametrize(
    "source",
    [
        "if not torch.cuda.is_available():\n    raise OSError('a GPU, please')\nx.cuda()",
        "for x in y:\n    if not torch.cuda.is_available():\n        break\nx.cuda()",
        "device = torch.device('mps')",
        "model.to('mps')",
        "torch.cuda.set_device(0)",
        "torch.set_default_device('cuda')",
        "config = {'device': 'cuda'}\nmodel.to(config['device'])",
        "torch.zeros(3, **{'device': 'cuda'})",
        "options = {'device': 'cuda', 'dtype': torch.float}\ntorch.zeros(3, **options)",
        "gpu = 'cuda:0'\nmodel.to(gpu)",
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
        "use = torch.cuda.is_available()\nif use:\n    model.cuda()",
        "use = torch.cuda.is_available()\nif not use:\n    pass\nelse:\n    model.cuda()",
        "use = torch.cuda.is_available()\nx = model.cuda() if use and y else model",
        "device = 'cuda'\nx.to(device if torch.cuda.is_available() else 'cpu')",
        "def f(d):\n    if d.type != 'cuda':\n        return 0\n    torch.cuda.set_device(0)",
        "for x in y:\n    if not torch.cuda.is_available():\n        break\n    x.cuda()",
        "torch.device('mps' if torch.backends.mps.is_available() else 'cpu')",
        "if torch.cuda.is_available():\n    torch.cuda.set_device(0)",
        "config = {'device': 'cuda'}\ntorch.device(config['device'] if torch.cuda.is_available() "
        "else 'cpu')",
        "config = {'device': 'cuda'}\nconfig['device'] = pick()\nmodel.to(config['device'])",
        "config = {'device': 'cuda'}\ntrain(**config)",
        "def f(config={'device': 'cuda'}):\n    model.to(config['device'])",
        "model.to(device)",
        "torch.cuda.manual_seed(0)",
        "torch.cuda.empty_cache()",
        "torch.cuda.set_device(local_rank)",
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
