"""Names resolve as Python resolves them, and to nothing where they could be something else."""

from __future__ import annotations

import ast
import textwrap

import pytest

from grader.source.scan import Scan


def called(source: str) -> list[tuple[str, ...]]:
    """What the function of every call in `source` resolves to, in source order."""
    scan = Scan("a.py", ast.parse(textwrap.dedent(source)))
    return [scan.resolve(item.node.func, item.scope) for item in scan.calls]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import torchvision\ntorchvision.models.resnet18()", "torchvision.models.resnet18"),
        ("import torchvision.models as m\nm.resnet18()", "torchvision.models.resnet18"),
        ("from torchvision import models as m\nm.resnet18()", "torchvision.models.resnet18"),
        ("from torchvision.models import resnet18 as r\nr()", "torchvision.models.resnet18"),
        ("import torchvision as tv\nm = tv.models\nm.resnet18()", "torchvision.models.resnet18"),
        ("import torchvision as tv\nn = m = tv.models\nn.r()", "torchvision.models.r"),
        ("from os import *\nsystem('x')", "os.system"),
        ("from .net import build\nbuild()", ".net.build"),
        ("from . import net\nnet.build()", ".net.build"),
        ("eval('1')", "builtins.eval"),
        ("import builtins\nbuiltins.eval('1')", "builtins.eval"),
        (
            "try:\n    import cv2\nexcept ImportError:\n    cv2 = None\ncv2.imread('x')",
            "cv2.imread",
        ),
        ("import os\ndef f():\n    os.system('x')", "os.system"),
        ("import os\nclass A:\n    def f(self):\n        os.system('x')", "os.system"),
        ("import os\nos.environ['X'] = '1'\nos.system('x')", "os.system"),
        ("import torch\ntorch.backends.cudnn.benchmark = True\ntorch.load('x')", "torch.load"),
        ("import sys, os\nsys.path += ['x']\nsys.path.append('y')", "sys.path.append"),
        ("def f():\n    global run\n    from os import system as run\nrun('x')", "os.system"),
    ],
)
def test_a_library_function_is_found_through_its_aliases(source: str, name: str) -> None:
    assert called(source)[-1] == (name,)


def test_getattr_and_import_module_with_literals_are_followed() -> None:
    assert ("torchvision.models.resnet18",) in called(
        "import torchvision\ngetattr(torchvision, 'models').resnet18()"
    )
    assert ("torchvision.models.resnet18",) in called(
        "import importlib\nimportlib.import_module('torchvision.models').resnet18()"
    )
    assert ("os.system",) in called("__import__('os').system('x')")
    assert ("torchvision.models.resnet18",) in called(
        "name = 'torchvision.models'\nimport importlib\n"
        "m = importlib.import_module(name)\nm.resnet18()"
    )


@pytest.mark.parametrize(
    "source",
    [
        "def eval(model):\n    pass\neval(net)",
        "def f(eval):\n    eval(1)",
        "model.eval()",
        "for os in folders:\n    os.system('x')",
        "import os\nos = load()\nos.system('x')",
        "def f():\n    os = Fake()\n    os.system('x')\nimport os",
        "class A:\n    import os\n    def f(self):\n        os.system('x')",
        "[os.system(1) for os in things]",
        "with open_socket() as socket:\n    socket.socket()",
        "m = m.models\nm.resnet18()",
        "a = b\nb = a\na()",
        "models = {}\nmodels['x']()",
        "import x\nx, y = y, x\nx.f()",
    ],
)
def test_a_name_that_may_be_something_else_resolves_to_nothing(source: str) -> None:
    assert called(source)[-1] == ()


def test_two_possible_modules_are_both_reported() -> None:
    source = """
        try:
            import timm.models as m
        except ImportError:
            import torchvision.models as m
        m.resnet18()
    """
    assert called(source)[-1] == ("timm.models.resnet18", "torchvision.models.resnet18")
