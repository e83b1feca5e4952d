"""The closure holds what Python would import, held against Python itself where that is cheap."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from grader.source.facts import ModuleFacts
from grader.source.imports import Closure, close_imports
from grader.source.survey import FileReader
from grader.source.tree import SourceTree

COURSE = (3, 11)


@pytest.fixture
def close(tmp_path: Path):
    def run(files: Mapping[str, str], entry: str = "train.py", chosen: tuple[str, ...] = ()):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        tree = SourceTree(tmp_path)
        return close_imports(entry, tree, FileReader(tree, COURSE), chosen)

    return run


def paths(closure: Closure) -> set[str]:
    return set(closure.modules)


def test_packages_submodules_and_relative_imports_are_followed(close) -> None:
    closure = close(
        {
            "train.py": "import utils.metrics\nfrom models import resnet\nfrom data import *\n",
            "utils/__init__.py": "",
            "utils/metrics.py": "from . import sums\nfrom .deep.er import x\n",
            "utils/sums.py": "",
            "utils/deep/__init__.py": "from ..sums import y\n",
            "utils/deep/er.py": "x = 1\n",
            "utils/unused.py": "import timm\n",
            "models/resnet.py": "from models.blocks import Block\n",  # a namespace package
            "models/blocks.py": "class Block: pass\n",
            "data.py": "",
            "other.py": "",
        }
    )
    assert paths(closure) == {
        "train.py",
        "utils/__init__.py",
        "utils/metrics.py",
        "utils/sums.py",
        "utils/deep/__init__.py",
        "utils/deep/er.py",
        "models/resnet.py",
        "models/blocks.py",
        "data.py",
    }
    assert closure.missing == ()
    assert closure.local_names == {"utils", "models", "data"}


def test_the_closure_is_what_python_imports(close, tmp_path: Path) -> None:
    """Run the script and compare with the modules that Python then has."""
    closure = close(
        {
            "train.py": (
                "import a, sys\nfrom pkg.sub import thing\n"
                "if True:\n    import importlib\n    importlib.import_module('late')\n"
                "__import__('dunder')\n"
                "print(sorted(m.__file__ for m in list(sys.modules.values())\n"
                "             if getattr(m, '__file__', None)))\n"
            ),
            "a.py": "from pkg import inner\nimport json\n",
            "pkg/__init__.py": "from .inner import value\n",
            "pkg/inner.py": "value = 1\n",
            "pkg/sub/__init__.py": "from .thing import *\n",
            "pkg/sub/thing.py": "from ..inner import value\n",
            "late.py": "import dunder2\n",
            "dunder.py": "",
            "dunder2.py": "",
            "never.py": "",
        }
    )
    out = subprocess.run(
        [sys.executable, "-B", "train.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    loaded = {
        Path(name).relative_to(tmp_path.resolve()).as_posix()
        for name in eval(out)
        if Path(name).is_relative_to(tmp_path.resolve())
    }
    assert paths(closure) == loaded


def test_a_package_wins_over_a_module_and_a_module_over_a_folder(close) -> None:
    both = close({"train.py": "import net", "net.py": "", "net/__init__.py": ""})
    assert paths(both) == {"train.py", "net/__init__.py"}


def test_a_module_wins_over_a_folder_without_init(close) -> None:
    assert paths(close({"train.py": "import net", "net.py": "", "net/x.txt": ""})) == {
        "train.py",
        "net.py",
    }


def test_a_local_file_wins_over_a_library_but_not_over_what_python_loads_first(close) -> None:
    closure = close({"train.py": "import random, os, sys", "random.py": "", "os.py": ""})
    assert paths(closure) == {"train.py", "random.py"}
    assert [item.item.module for item in closure.external] == ["os", "sys"]


@pytest.mark.parametrize(
    ("files", "module", "expected"),
    [
        (
            {"train.py": "import models.resnet", "models/__init__.py": ""},
            "models.resnet",
            "models/resnet.py",
        ),
        ({"train.py": "from net import x", "net/other.py": ""}, "net.x", "net/x.py"),
        ({"train.py": "import net.x", "net.py": ""}, "net.x", "net/x.py"),
        (
            {"train.py": "import p", "p/__init__.py": "from .gone import y"},
            "p.gone",
            "p/gone.py",
        ),
    ],
)
def test_what_cannot_be_imported_is_named(close, files, module, expected) -> None:
    (missing,) = close(files).missing
    assert (missing.module, missing.expected) == (module, expected)


def test_a_name_defined_in_a_package_is_no_missing_module(close) -> None:
    assert close({"train.py": "from p import build", "p/__init__.py": ""}).missing == ()


def test_a_relative_import_in_a_script_is_beyond_the_top(close) -> None:
    (beyond,) = close({"train.py": "from .net import x", "net.py": ""}).beyond_top
    assert (beyond.path, beyond.line, beyond.text) == ("train.py", 1, ".net")


def test_guarded_imports_are_marked(close) -> None:
    closure = close(
        {
            "train.py": "try:\n    import tqdm\nexcept ImportError:\n    import bars\n"
            "import contextlib\nwith contextlib.suppress(ImportError):\n    import rich\n"
            "try:\n    import json\nexcept KeyError:\n    import yaml\n"
        }
    )
    assert [(item.item.module, item.item.guarded) for item in closure.external] == [
        ("tqdm", True),
        ("bars", True),
        ("contextlib", False),
        ("rich", True),
        ("json", False),
        ("yaml", False),
    ]


def test_type_checking_and_a_helpers_main_guard_are_not_run(close) -> None:
    closure = close(
        {
            "train.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import timm\n"
            "else:\n    import net\n",
            "net.py": 'if __name__ == "__main__":\n    import try_out\n    import wandb\n',
            "try_out.py": "",
        }
    )
    assert paths(closure) == {"train.py", "net.py"}
    assert [item.item.module for item in closure.external] == ["typing"]


def test_a_computed_import_may_be_any_module_of_its_package(close) -> None:
    files = {
        "train.py": "import recipes\n",
        "recipes/__init__.py": (
            "import importlib\ndef load(name):\n"
            '    return importlib.import_module(f"recipes.{name}")\n'
        ),
        "recipes/one.py": "import helper_one\n",
        "recipes/two.py": "import helper_two\n",
        "helper_one.py": "",
        "helper_two.py": "",
    }
    assert paths(close(files)) == set(files)
    chosen = close(files, chosen=("recipes/two.py",))
    assert paths(chosen) == set(files) - {"recipes/one.py", "helper_one.py"}
    (followed,) = chosen.open_imports
    assert followed.candidates == ("recipes/two.py",)


def test_a_computed_import_without_a_package_is_reported(close) -> None:
    closure = close({"train.py": "import importlib, sys\nimportlib.import_module(sys.argv[1])\n"})
    (followed,) = closure.open_imports
    assert (followed.item.package, followed.candidates) == ("", ())


def test_folders_added_to_sys_path_are_searched(close) -> None:
    closure = close(
        {
            "train.py": "import os, sys\n"
            "sys.path.append(os.path.join(os.path.dirname(__file__), 'src'))\nimport net\n",
            "src/net.py": "",
        }
    )
    assert "src/net.py" in paths(closure)


@pytest.mark.parametrize(
    "change",
    [
        "HERE = os.path.dirname(os.path.abspath(__file__))\n"
        "SRC = os.path.join(HERE, 'src', 'nets')\nsys.path.insert(0, SRC)",
        "SRC = 'src/nets'\nsys.path.append(SRC)",
        "sys.path.append('src/' + 'nets')",
        "sys.path.insert(0, os.path.join('src', 'nets'))",
        "sys.path += ['src/nets']",
        "sys.path[0:0] = ['src/nets']",
        "sys.path = ['src/nets'] + sys.path",
        "sys.path = [*sys.path, os.path.join('src', 'nets')]",
        "sys.path.extend(['x', 'src/nets'])",
        "HERE = Path(__file__).resolve().parent\nsys.path.append(str(HERE / 'src' / 'nets'))",
        "HERE = Path(__file__).resolve().parent\nsys.path.append(f'{HERE}/src/nets')",
        "THIS = Path(__file__).resolve()\nsys.path.append(str(THIS.parents[0] / 'src/nets'))",
        "from sys import path\npath.append('./src/nets/')",
        "sys.path.append(os.path.dirname(os.path.join('src', 'nets', 'resnet.py')))",
    ],
)
def test_every_way_to_extend_the_search_path_is_followed(close, tmp_path: Path, change: str):
    files = {
        "train.py": f"import os, sys\nfrom pathlib import Path\n{change}\nfrom resnet import R\n",
        "src/nets/resnet.py": "R = 1\n",
    }
    closure = close(files)
    assert paths(closure) == set(files)
    assert "resnet" in closure.local_names
    subprocess.run([sys.executable, "-B", "train.py"], cwd=tmp_path, check=True)


def test_a_helper_may_extend_the_search_path_for_everybody(close, tmp_path: Path) -> None:
    files = {
        "train.py": "import torch_of_mine\nimport tools.setup_paths\nfrom resnet import R\n",
        "tools/setup_paths.py": "import sys\nfrom pathlib import Path\n"
        "sys.path.append(str(Path(__file__).parents[1] / 'src'))\n",
        "src/resnet.py": "import more_paths\nfrom deeper import R\n",
        "src/more_paths.py": "import sys\nsys.path.append('src/deep')\n",
        "src/deep/deeper.py": "R = 1\n",
        "torch_of_mine.py": "",
    }
    closure = close(files)
    assert paths(closure) == set(files)
    assert {item.item.module for item in closure.external} == {"sys", "pathlib"}
    subprocess.run([sys.executable, "-B", "train.py"], cwd=tmp_path, check=True)


def test_a_folder_of_that_name_does_not_hide_a_module_of_another_folder(close) -> None:
    files = {
        "train.py": "import sys\nsys.path.append('src')\nfrom resnet import R\n",
        "src/resnet.py": "R = 1\n",
        "resnet/weights.txt": "",
    }
    closure = close(files)
    assert paths(closure) == {"train.py", "src/resnet.py"}
    assert closure.missing == ()


def test_a_list_of_paths_as_deep_as_the_parser_allows_is_read(close) -> None:
    long = " + ".join(["['src']"] * 900)
    deep = "[" * 80 + "'src'" + "]" * 80
    closure = close(
        {
            "train.py": f"import sys\nsys.path += {long}\nsys.path += {deep}\nimport n",
            "src/n.py": "",
        }
    )
    assert paths(closure) == {"train.py", "src/n.py"}


def test_capitals_matter(close) -> None:
    closure = close({"train.py": "import Net", "net.py": ""})
    assert [item.item.module for item in closure.external] == ["Net"]


def test_circular_imports_end(close) -> None:
    assert paths(
        close({"train.py": "import a", "a.py": "import b", "b.py": "import a, train"})
    ) == {
        "train.py",
        "a.py",
        "b.py",
    }


def test_a_pipe_and_an_unlistable_folder_are_passed_by(close, tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "net.py")
    (tmp_path / "shut").mkdir()
    (tmp_path / "shut").chmod(0)
    try:
        closure = close({"train.py": "import net, shut.x"})
    finally:
        (tmp_path / "shut").chmod(0o700)
    assert paths(closure) == {"train.py"}


def test_an_unreadable_module_is_part_of_the_closure_without_facts(close) -> None:
    closure = close({"train.py": "import net", "net.py": "def f(:"})
    assert paths(closure) == {"train.py", "net.py"}
    assert [facts.path for facts in closure.read] == ["train.py"]
    assert isinstance(closure.modules["train.py"], ModuleFacts)
