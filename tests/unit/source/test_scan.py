"""Names resolve as Python resolves them, and to nothing where they could be something else."""

from __future__ import annotations

import ast
import textwrap

import pytest

from grader.source.scan import CONDITIONAL, IMPORT_GUARD, TYPE_CHECKING, Scan


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


def guards(source: str) -> list[int]:
    """What guards every import in `source`, of the guards that concern imports."""
    scan = Scan("a.py", ast.parse(textwrap.dedent(source)))
    wanted = IMPORT_GUARD | CONDITIONAL | TYPE_CHECKING
    return [item.flags & wanted for item in scan.imports]


OTHER = IMPORT_GUARD | CONDITIONAL


@pytest.mark.parametrize(
    ("source", "then", "otherwise"),
    [
        ("if x: import a\nelse: import b", CONDITIONAL, CONDITIONAL),
        ("if True: import a\nimport b", 0, 0),
        ("if False: import a\nelse: import b", TYPE_CHECKING, 0),
        ("if TYPE_CHECKING: import a\nelse: import b", TYPE_CHECKING, 0),
        ("if IN_COLAB: import a\nelse: import b", OTHER, CONDITIONAL),
        ("if not IN_COLAB: import a\nelse: import b", CONDITIONAL, OTHER),
        ("if IN_COLAB or ON_KAGGLE: import a\nelse: import b", OTHER, CONDITIONAL),
        ("if IN_COLAB or x: import a\nelse: import b", CONDITIONAL, CONDITIONAL),
        ("if x and IN_COLAB: import a\nelse: import b", OTHER, CONDITIONAL),
        ("if x and not IN_COLAB: import a\nelse: import b", CONDITIONAL, CONDITIONAL),
        ("if not IN_COLAB and not is_notebook(): import a\nelse: import b", CONDITIONAL, OTHER),
        ("if sys.platform == 'win32': import a\nelse: import b", OTHER, CONDITIONAL),
        ("if sys.platform != 'win32': import a\nelse: import b", CONDITIONAL, OTHER),
        ("if platform.system() == 'Linux': import a\nelse: import b", CONDITIONAL, OTHER),
        ("if 'ipykernel' not in sys.modules: import a\nelse: import b", CONDITIONAL, OTHER),
        ("x = os.name == 'nt'\nif x: import a\nelse: import b", OTHER, CONDITIONAL),
        ("x = x\nif x: import a\nelse: import b", CONDITIONAL, CONDITIONAL),
        ("if model.modules(): import a\nelse: import b", CONDITIONAL, CONDITIONAL),
        ("if sys.version_info > (3, 11): import a\nelse: import b", OTHER, OTHER),
        ("try: import a\nexcept ImportError: import b", IMPORT_GUARD, OTHER),
        ("try: import a\nexcept RuntimeError: import b", 0, CONDITIONAL),
        ("match x:\n case 1: import a\n case _: import b", CONDITIONAL, CONDITIONAL),
        ("def f():\n if not IN_COLAB: return\n import a\nimport b", IMPORT_GUARD, 0),
        ("def f():\n if IN_COLAB: return\n import a\nimport b", 0, 0),
        ("for x in y: import a\nwhile x: import b", 0, CONDITIONAL),
    ],
)
def test_what_an_import_depends_on_is_read_off_its_question(
    source: str, then: int, otherwise: int
) -> None:
    assert guards(source) == [then, otherwise]
