"""Source that is made to cost time: the work grows with its size, not with its cunning."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.source.parse import Unparsed
from grader.source.read import read_module
from grader.source.survey import MAX_TOTAL_BYTES, survey_source

COURSE = (3, 11)

# Each of these took exponential or quadratic time in some natural way of writing the reader.
PROGRAMS = {
    "aliases of aliases": "import os\n"
    + "".join(f"a{n + 1} = a{n}\n" * 40 for n in range(30))
    + "a0 = os\na30.system('x')\n" * 50,
    "imports under one name": "".join(f"import m{n} as x\n" for n in range(3000))
    + "y = x\nz = y\n" * 2000
    + "z.f()\n" * 2000,
    "a name bound to itself": "x = x.y\n" * 3000 + "x.f()\n" * 2000,
    "nested getattr": "getattr(" * 80 + "x" + ", 'y')" * 80 + "\n",
    "a long chain of attributes": "x" + ".y" * 900 + "()\n",
    "a chain of functions": "".join(f"def f{n}():\n f{n + 1}()\n" for n in range(6000)) + "f0()\n",
    "functions in functions": "".join(" " * n + f"def f{n}():\n" for n in range(95))
    + " " * 95
    + "pass\n",
    "many conditions": "if a and (b or cuda):\n  x = 1\n" * 4000,
    "a condition of many": "if " + " and ".join(["cuda"] * 20000) + ": pass\n",
    "a question turned round": "import a\nif " + "not " * 150 + "a: import b\n",
    "questions under names": "a0 = 'colab' in x\n"
    + "".join(f"a{n + 1} = not a{n}\n" for n in range(3000))
    + "if a3000: import b\n" * 2000,
    "one long question under a name": "x = "
    + " and ".join(["cuda"] * 10000)
    + "\n"
    + "if x: import b\n" * 3000,
    "a missing module on every line": "if x: import b\n" * 9000,
    "one option read everywhere": "p.add_argument('--x', default='/home/a')\n" * 2500
    + "".join(f"def f{n}():\n args.x\n" for n in range(6000)),
    "one function of many defaults": "def f("
    + ", ".join(f"p{n}='/home/a'" for n in range(9000))
    + "):\n "
    + ", ".join(f"p{n}" for n in range(9000)),
    "one large dict that many calls take": "import torch\nd = {"
    + ", ".join(f"'{n}': 0" for n in range(9000))
    + "}\n"
    + "torch.zeros(**d)\n" * 6000,
    "star imports": "".join(f"from m{n} import *\n" for n in range(3000)) + "f()\n" * 3000,
    "many files": "".join(f"open('f{n}')\n" for n in range(8000)),
    "many defaults": "".join(f"def f(p{n}='x'):\n open(p{n})\nf()\n" for n in range(3000)),
    "one long string": "x = '" + "/home/" * 30000 + "'\n",
    "deep joins": "open(" + "os.path.join(" * 60 + "'a'" + ", 'b')" * 60 + ")\n",
    "a helper that is called thousands of times": "def f(p):\n open(p, 'w')\n"
    + "".join(f"f('a{n}')\n" for n in range(8000)),
    "helpers that hand on": "".join(
        f"def f{n}(p):\n f{n + 1}(p)\n f{n + 1}('x')\n" for n in range(4000)
    )
    + "def f4000(p):\n open(p, 'w')\nf0('a')\n",
    "helpers that hand on to each other": "def f(p):\n g(p)\n g('x' + p)\n"
    "def g(p):\n f(p)\n f(p + 'x')\n f('y' + p)\n open(p, 'w')\nf('a')\n",
    "names in part": "".join(f"open(x + 'a{n}', 'w')\nopen('b{n}')\n" for n in range(5000)),
    "a name of many parts": "open(f'" + "{x}a" * 4_000 + "', 'w')\n",
    "a name with thousands of values": "x = 'a'\n" * 5000 + "open(x, 'w')\nf(x)\n" * 5000,
    "attributes of attributes": "a.x = a.x\n" * 4
    + "".join(f"a.y{n} = a.y{n + 1} if a.x else a.y{n + 2}\n" for n in range(3000))
    + "open(a.y0, 'w')\nf(a.y0)\n" * 3000,
    "a long string handed on": "x = '" + "a" * 100_000 + "'\n" + "f(x + '/b')\n" * 5000,
    "a number of many digits": f"open(0x{'f' * 20_000}, 'w')\n",
    "folders of the search path": "import sys\n"
    + "".join(f"sys.path += ['a{n}'] + ['b{n}']\nimport c{n}\n" for n in range(3000)),
    "additions to the search path": "import sys\nsys.path += " + " + ".join(["['a']"] * 900) + "\n",
    "additions": "open(" + "+".join(["'a'"] * 900) + ")\n",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_cunning_does_not_multiply_the_work(name: str, tmp_path: Path) -> None:
    source = PROGRAMS[name].encode()
    assert not isinstance(read_module(source, "a.py", COURSE), Unparsed)
    (tmp_path / "evaluate.py").write_bytes(source)
    survey_source(tmp_path, {"evaluate": "evaluate.py"}, COURSE)


def test_more_source_than_a_submission_has_is_left_unread(tmp_path: Path) -> None:
    count = MAX_TOTAL_BYTES // 200_000 + 2
    for number in range(count):
        (tmp_path / f"m{number}.py").write_text("#" * 200_000)
    (tmp_path / "evaluate.py").write_text("".join(f"import m{n}\n" for n in range(count)))
    source = survey_source(tmp_path, {"evaluate": "evaluate.py"}, COURSE)
    unread = [item for item in source.modules.values() if isinstance(item, Unparsed)]
    assert unread
    assert all("MiB" in item.reason for item in unread)


def test_a_package_that_imports_thousands_of_modules_ends(tmp_path: Path) -> None:
    (tmp_path / "evaluate.py").write_text("".join(f"import m{n}\n" for n in range(900)))
    for number in range(900):
        (tmp_path / f"m{number}.py").write_text(f"import m{number + 1}\n")
    source = survey_source(tmp_path, {"evaluate": "evaluate.py"}, COURSE)
    assert len(source.modules) == 400
