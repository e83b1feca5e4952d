"""Canonical forms: what says the same is the same, and what differs stays different."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.similarity.source.fingerprint import feature_hashes, tokens_of
from grader.similarity.source.inline import inlined_order
from tests.unit.similarity.source.students import tree

HEAD = "import torch\nimport torch.nn as nn\nfrom torch.nn import functional as F\n"


def _tokens(text: str) -> list[int]:
    return tokens_of(tree("a", {"a.py": HEAD + text})).tokens.tolist()


SAME = {
    "names": (
        "def f(a, b):\n    c = a + b\n    return c, c",
        "def g(x, y):\n    z = x + y\n    return z, z",
    ),
    "augmented": ("def f(a):\n    a[0] += 1", "def f(a):\n    a[0] = a[0] + 1"),
    "mirrored": ("def f(a, b):\n    return a > b", "def f(a, b):\n    return b < a"),
    "not equal": ("def f(a, b):\n    return not a == b", "def f(a, b):\n    return a != b"),
    "constant right": ("def f(a):\n    return 2 * a", "def f(a):\n    return a * 2"),
    "constant compared": ("def f(a):\n    return 0 == a", "def f(a):\n    return a == 0"),
    "if not": (
        "def f(a):\n    if not a:\n        a.x(1)\n    else:\n        a.y(2)",
        "def f(a):\n    if a:\n        a.y(2)\n    else:\n        a.x(1)",
    ),
    "import path": ("x = nn.ReLU()", "x = torch.nn.ReLU()"),
    "from import": ("x = F.relu(3)", "x = torch.nn.functional.relu(3)"),
    "keyword order": (
        "x = nn.Conv2d(3, 8, stride=2, padding=1)",
        "x = nn.Conv2d(3, 8, padding=1, stride=2)",
    ),
    "docstring": ('def f(a):\n    """Say."""\n    return -a', "def f(a):\n    return -a"),
    "print": ("def f(a):\n    print(a)\n    return -a", "def f(a):\n    return -a"),
    "annotation": ("def f(a: int) -> int:\n    return -a", "def f(a):\n    return -a"),
    "annotated": (
        "def f(a):\n    b: int = -a\n    return b, b",
        "def f(a):\n    b = -a\n    return b, b",
    ),
    "temporary": (
        "def f(a):\n    t = nn.ReLU()\n    u = t(a * 2)\n    return u + 1",
        "def f(a):\n    return nn.ReLU()(a * 2) + 1",
    ),
    "float": ("x = nn.Dropout(1.0)", "x = nn.Dropout(1)"),
    "negative": ("def f(a):\n    return a.mean(-1)", "def f(a):\n    return a.mean((-1))"),
    "super": (
        "class A:\n    def __init__(self):\n        super(A, self).__init__()",
        "class B:\n    def __init__(self):\n        super().__init__()",
    ),
    "text": ("x = open('a.txt')", "x = open('b.csv')"),
    "logger": (
        "def f(a):\n    logger.info('x')\n    return -a",
        "def f(a):\n    return -a",
    ),
    "method style": (
        "def f(a):\n    return F.relu(torch.sum(a, 1))",
        "def f(a):\n    return a.sum(1).relu()",
    ),
    "other library": (
        "import numpy as np\nx = np.clip(np.zeros((2, 3)), 0, 1)",
        "x = torch.clamp(torch.zeros((2, 3)), 0, 1)",
    ),
    "function of an object": (
        "class A:\n    def grow(self, n):\n        return n\na = A()\na.grow(3), a.grow(4)",
        "class A:\n    def grow(self, n):\n        return n\na = A()\ngrow(a, 3), grow(a, 4)",
    ),
    "in place": ("def f(a):\n    return a.add_(1)", "def f(a):\n    return a.add(1)"),
    "sum of numbers": ("x = nn.Linear(7 * 32, 2 ** 4)", "x = nn.Linear(200 + 24, 16)"),
    "rounded": ("x = nn.Dropout(0.1 * 3)", "x = nn.Dropout(0.3)"),
    "named number": (
        "RATE = 0.25\nx = nn.Dropout(RATE), RATE",
        "RATE = 0.25\nx = nn.Dropout(0.25), 0.25",
    ),
    "named constants": (
        "A = None\nB = 'text'\nx = nn.Dropout(A, B), A, B",
        "A = None\nB = 'text'\nx = nn.Dropout(None, 'text'), None, 'text'",
    ),
    "another name for a function": (
        "size = len\nconv = nn.Conv2d\nx = conv(size([]), 1, padding=2), conv, size",
        "size = len\nconv = nn.Conv2d\nx = nn.Conv2d(len([]), 1, padding=2), nn.Conv2d, len",
    ),
    "a local name that a library has elsewhere": (
        "import numpy as a\ndef f(b):\n    a = b.x\n    return a.mean(a), a",
        "import numpy\ndef f(b):\n    c = b.x\n    return c.mean(c), c",
    ),
    "a parameter that a library is called": (
        "import numpy as a\nf = lambda a: a.mean(a)\ng = [a for a in f]",
        "import numpy\nf = lambda b: b.mean(b)\ng = [c for c in f]",
    ),
    "attribute by its name": (
        "def f(a):\n    return getattr(torch, 'relu')(getattr(a, 'grad'))",
        "def f(a):\n    return torch.relu(a.grad)",
    ),
    "imported by a call": (
        "a = __import__('numpy')\nb = a.mean(3)",
        "import numpy\na = __import__('numpy')\nb = numpy.mean(3)",
    ),
    "text cut in two": ("x = open('a' + '.txt')", "x = open('a.txt')"),
    "formatted": ("x = open('{}.txt'.format(3))", "x = open(f'{3}.txt')"),
    "percent": ("x = open('%d.txt' % 3)", "x = open('3.txt')"),
    "own keywords": (
        "def g(a, b):\n    return a - b\nx = g(b=1, a=2)",
        "def g(p, q):\n    return p - q\nx = g(q=1, p=2)",
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_other_spellings_of_the_same_are_the_same_tokens(name: str) -> None:
    left, right = SAME[name]
    assert _tokens(left) == _tokens(right)


OTHER = {
    "numbers": ("x = nn.Dropout(0.5)", "x = nn.Dropout(0.3)"),
    "libraries": ("x = nn.ReLU()", "x = nn.GELU()"),
    "operators": ("def f(a):\n    return a - 1", "def f(a):\n    return a + 1"),
    "operands of a difference": ("def f(a):\n    return 1 - a", "def f(a):\n    return a - 1"),
    "library keywords": ("x = nn.Conv2d(3, 8, padding=1)", "x = nn.Conv2d(3, 8, stride=1)"),
    "methods of libraries": ("def f(a):\n    return a.mean()", "def f(a):\n    return a.sum()"),
    "a name for two numbers": (
        "r = 0.25\nx = nn.Dropout(r), r\nr = 0.5",
        "r = 0.25\nx = nn.Dropout(0.25), 0.25\nr = 0.5",
    ),
    "a parameter called as a number is": (
        "r = 0.25\ndef f(r):\n    return nn.Dropout(r), r",
        "r = 0.25\ndef f(r):\n    return nn.Dropout(0.25), 0.25",
    ),
    "a name that a function changes": (
        "n = 3\ndef f():\n    global n\n    n = n + 1\nx = nn.Linear(n, n)",
        "n = 3\ndef f():\n    global n\n    n = n + 1\nx = nn.Linear(3, 3)",
    ),
    "own method": (
        "class A:\n    def mean(self):\n        return 1\nA().mean()",
        "class A:\n    def size(self):\n        return 1\nA().mean()",
    ),
    "division by zero": ("x = nn.Dropout(1 / 0)", "x = nn.Dropout(2 / 0)"),
    "comparisons": ("def f(a, b):\n    return a < b[0]", "def f(a, b):\n    return a <= b[0]"),
}


@pytest.mark.parametrize("name", OTHER)
def test_what_differs_stays_different(name: str) -> None:
    left, right = OTHER[name]
    assert _tokens(left) != _tokens(right)


MODERN = """
import torch
type Pair[T] = tuple[T, T]

def first[T](values: list[T]) -> T:
    return values[0]
"""
MATCH = """
import torch
async def run(command, other):
    match command:
        case {"go": [x, *rest]} if (n := len(rest)) > 2:
            return [y async for y in other(x)]
        case torch.Tensor(shape=s) | None as whole:
            return s
        case _:
            try:
                raise ValueError
            except* ValueError as group:
                return lambda a, /, b=1, *, c: (a, b, c, f"{group!r:>{b}}")
"""


def test_modern_syntax_is_written_and_renaming_changes_nothing() -> None:
    before = tokens_of(tree("a", {"a.py": MATCH}))
    renamed = MATCH.replace("command", "what").replace("rest", "tail").replace("group", "g")
    after = tokens_of(tree("a", {"a.py": renamed}))
    assert len(before.tokens) > 30
    assert before.tokens.tolist() == after.tokens.tolist()


def test_syntax_newer_than_this_python_is_compared_line_by_line() -> None:
    tokens = tokens_of(tree("a", {"a.py": MODERN}))
    plain = tokens_of(tree("b", {"a.py": "def first(values):\n    return values[0]\n"}))
    ours, theirs = feature_hashes(tokens)[0], feature_hashes(plain)[0]
    assert set(theirs.tolist()) <= set(ours.tolist())


def test_every_token_has_the_line_that_it_stands_on() -> None:
    tokens = tokens_of(
        tree("a", {"a.py": "import numpy as np\n\n\nx = np.abs(\n    np.sin(3)\n)\n"})
    )
    assert set(tokens.lines.tolist()) == {4, 5}


@given(st.data())
def test_inlining_moves_tokens_and_loses_only_the_temporary(data: st.DataObject) -> None:
    """Statements `t_i = …` of random lengths, each used at most once, later."""
    lengths = data.draw(st.lists(st.integers(2, 6), min_size=1, max_size=8))
    starts = np.cumsum([0, *lengths]).tolist()
    used: set[int] = set()
    inlines = []
    for i, length in enumerate(lengths):
        after = [p for p in range(starts[i + 1], starts[-1]) if p not in starts and p not in used]
        if after and data.draw(st.booleans()):
            place = data.draw(st.sampled_from(after))
            used.add(place)
            inlines.append((starts[i], starts[i] + 1, starts[i] + length, place))
    order, first, last = inlined_order(starts[-1], inlines)
    gone = {start for start, *_ in inlines} | used
    assert sorted(order.tolist()) == sorted(set(range(starts[-1])) - gone)
    for _, value, end, place in inlines:
        inside = order[first[place] : last[place]].tolist()
        direct = [token for token in range(value, end) if token not in used]
        assert [token for token in inside if value <= token < end] == direct
