"""Whatever bytes a .py file holds, there is a tree or a reason, never an exception."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grader.source.parse import (
    MAX_SOURCE_BYTES,
    ParsedModule,
    Unparsed,
    parse_source,
    refuse_as_script,
)
from grader.source.read import read_module

COURSE = (3, 11)


def refused(data: bytes, python: tuple[int, int] = COURSE) -> Unparsed:
    result = parse_source(data, "evaluate.py", python)
    assert isinstance(result, Unparsed)
    return result


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xef\xbb\xbfx = 1\n",  # a byte-order mark
        b"# -*- coding: latin-1 -*-\nname = '\xe9'\n",
        b"x = '\\d'\n",  # a warning of Python's, not a fault
        b"if x:\n\ty = 1\n",
        b"x = 1\r\ny = 2\r\n",
        "größe = '蝶'\n".encode(),
        b"match x:\n    case 1:\n        pass\n",
    ],
)
def test_what_the_courses_python_reads_is_read(data: bytes) -> None:
    assert isinstance(parse_source(data, "a.py", COURSE), ParsedModule)


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (b"import os\nprint 'done'\n", 2, "Python 2's print"),
        (b"exec 'x = 1'\n", 1, "Python 2's exec"),
        (b"try:\n    pass\nexcept OSError, e:\n    pass\n", 3, "Python 2's `except"),
        (b"import os\n!pip install timm\n", 2, "notebook command"),
        (b"%matplotlib inline\n", 1, "notebook command"),
        (b"x = 1\n<<<<<<< HEAD\nx = 2\n", 2, "git merge"),
        (b"if x:\n\ty = 1\n        z = 2\n", 3, "tabs and spaces"),
        (b"x = 1\ny = '\xe9'\n", 2, "not UTF-8"),
        (b"# coding: klingon\nx = 1\n", None, "klingon"),
        ("x = 1\n".encode("utf-16"), 1, "UTF-16"),
        (b"x = 1\n\ny = 2\0\n", 3, "null byte"),
        (b"def f(:\n    pass\n", 1, ""),
        ("x = “a”\n".encode(), 1, "“"),
    ],
)
def test_a_fault_is_named_with_its_line(data: bytes, line: int | None, words: str) -> None:
    result = refused(data)
    assert result.is_syntax
    assert result.line == line
    assert words in result.reason


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (b"import sys\nif len(sys.argv) < 3:\n    return\n", 3, "'return' outside function"),
        (b"x = 1\nbreak\n", 2, "outside loop"),
        (b"if x:\n    continue\n", 2, "not properly in loop"),
        (b"def f(a, a):\n    pass\n", 1, "duplicate argument"),
        (b"import os\nfrom __future__ import annotations\n", 2, "beginning of the file"),
        (b"x = 1\nawait x\n", 2, "'await' outside function"),
        (b"def f():\n    print(x)\n    global x\n", 3, "global declaration"),
        (b"yield 1\n", 1, "outside function"),
        (b"def f():\n    nonlocal x\n", 2, "no binding"),
    ],
)
def test_what_only_the_compiler_refuses_is_a_fault_too(data: bytes, line: int, words: str) -> None:
    result = refused(data)
    assert result.is_syntax
    assert (result.line, words in result.reason) == (line, True), result


@pytest.mark.filterwarnings("error")
def test_what_the_compiler_only_warns_of_is_read_in_silence() -> None:
    data = b"assert (x, 'y')\nif x is 1:\n    y = '\\d'\n"
    assert isinstance(parse_source(data, "a.py", COURSE), ParsedModule)


def test_what_costs_the_compiler_gigabytes_costs_the_check_nothing() -> None:
    nested = [
        "\t" * depth + f"try:\n{chr(9) * depth}\ta\n{chr(9) * depth}finally:\n"
        for depth in range(40)
    ]
    finals = "".join(nested) + "\t" * 40 + "x = 1\n"
    folded = "x = " + "+".join(["'a' * 4096"] * 2000) + "\n"
    for text in (finals, folded):
        assert isinstance(parse_source(text.encode(), "a.py", COURSE), ParsedModule)


@pytest.mark.parametrize("depth", [900, 2000])
def test_a_sum_as_long_as_python_takes_it_is_read(depth: int) -> None:
    data = b"x = " + b"+".join([b"a"] * depth)
    compile(data, "a.py", "exec")
    assert isinstance(parse_source(data, "a.py", COURSE), ParsedModule)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"import sys\n# caf\xe9\n", 2),
        (b"# caf\xe9\n# coding: latin-1\n", 1),
        (b"x = 1\n# coding: latin-1\n# caf\xe9\n", 3),
        (b"x = 1  # coding: latin-1\n# caf\xe9\n", 2),
        (b"# a surrogate \xed\xa0\x80\n", 1),
        (b"# caf\xc3\xa9\n", None),
        (b"# coding: latin-1\n# caf\xe9\n", None),
        (b"#!/usr/bin/env python\r\n# -*- coding: utf-8 -*-\r\n# caf\xe9\r\n", None),
        (b"\n# caf\xe9 coding: latin-1\n", None),
        (b"\xef\xbb\xbf# caf\xe9\n", None),
    ],
)
def test_a_script_is_refused_for_its_encoding_where_python_refuses_it(
    data: bytes, line: int | None, tmp_path: Path
) -> None:
    script = tmp_path / "evaluate.py"
    script.write_bytes(data)
    ran = subprocess.run([sys.executable, "-I", "-S", script], capture_output=True, check=False)
    assert (ran.returncode == 0) == (line is None), ran.stderr

    result = refuse_as_script(data, "evaluate.py")

    assert (result and result.line) == line
    # an `import` reads all of them
    assert isinstance(parse_source(data, "evaluate.py", COURSE), ParsedModule)


@pytest.mark.parametrize(
    "data",
    [
        b"x = " + b"-" * 100_000 + b"1",
        b"x = " + b"not " * 50_000 + b"1",
        b"x = a" + b".b" * 60_000,
        b"x = " + b"+".join([b"1"] * 60_000),
        b"if a: pass\n" + b"elif a: pass\n" * 5_000,
        b"x = '" + b"a" * MAX_SOURCE_BYTES + b"'",
    ],
    ids=["minus", "not", "attributes", "sum", "elif", "large"],
)
def test_what_is_too_deep_or_too_large_is_left_unread(data: bytes) -> None:
    result = parse_source(data, "a.py", COURSE)
    if isinstance(result, Unparsed):
        assert not result.is_syntax
        assert result.reason
    else:  # some Pythons parse some of these: then the walk has to survive them
        assert not isinstance(read_module(data, "a.py", COURSE), Unparsed)


def test_syntax_newer_than_the_courses_python_is_refused() -> None:
    assert refused(b"match x:\n    case 1:\n        pass\n", (3, 9)).is_syntax


def test_syntax_that_this_python_is_too_old_for_is_no_accusation() -> None:
    newer = (3, sys.version_info.minor + 1)
    result = refused(b"x = ((\n", newer)
    assert not result.is_syntax
    assert f"3.{newer[1]}" in result.reason


def test_an_f_string_of_python_3_12_is_refused_for_3_11_by_every_python() -> None:
    assert refused(b'x = f"{a["b"]}"\n').line == 1
    assert refused(b"x = f'{chr(10).join(y)}' + f'{\"\\n\".join(y)}'\n").line == 1
    for fine in (b"x = f\"{a['b']}\"\n", b'x = f"""{a["b"]}"""\n', b'x = f"{y:>{w}} \\n"\n'):
        assert isinstance(parse_source(fine, "a.py", COURSE), ParsedModule)


@given(st.binary(max_size=400))
@example(b"# coding: utf-7\nx = 1")
@example(b"# coding: idna\n\xff")
@example(b"#coding:unicode_escape\n\\x")
@example(b"\xff\xfe")
@example(b"\x0c\x0c")
def test_bytes_of_any_kind_are_read_or_refused(data: bytes) -> None:
    read_module(data, "a.py", COURSE)


FRAGMENTS = [
    "import os, sys\n", "from torchvision import models as m\n", "x = m\n", "m = x\n",
    "x = x.y\n", "global x\n", "def f(a=x, *b, c=m, **d):\n    global x\n    x = a\n    return x\n",
    "class A(x):\n    y = x\n    def __init__(self, p='q.json'):\n        open(p)\n",
    "[x for x in m for y in x]\n", "lambda x, y=m: x(y)\n", "getattr(m, 'x')(x)\n",
    "__import__(x)\n", "import importlib\nimportlib.import_module('.x', 'y')\n",
    "if __name__ == '__main__':\n    f()\n", "try:\n    import x\nexcept:\n    x = None\n",
    "with x as (y, z):\n    pass\n", "match x:\n    case {'a': y, **z}:\n        pass\n",
    "sys.argv[1:]\n", "a, *b = sys.argv\n", "open(f'{x}/y')\n", "open('a' + '/b')\n",
    "x: int = 1\n", "(y := x)\n", "del x\n", "async def g():\n    await x\n", "x.y.z.cuda()\n",
    "import sys\nsys.path.insert(0, x)\n", "f(*x, **y)\n", "open()\n", "open(mode=x)\n",
    "torch.device()\n", "from . import x\n", "from .. import *\n", "from x import *\n",
]  # fmt: skip


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12))
@example(["x = m\n", "global x\n"])
def test_any_mixture_of_statements_is_read_as_python_reads_it(fragments: list[str]) -> None:
    data = "".join(fragments).encode()
    result = read_module(data, "a.py", COURSE)
    if isinstance(result, Unparsed):
        with pytest.raises(SyntaxError) as caught:
            compile(data, "a.py", "exec", dont_inherit=True)
        assert caught.value.lineno == result.line
    else:
        compile(data, "a.py", "exec", dont_inherit=True)
