"""What stands where Python allows it not is found: no more and no less than its compiler says."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grader.source.parse import ParsedModule, Unparsed, parse_source

COURSE = (3, 11)
LEAVES = [
    "return", "return 1", "break", "continue", "x = 1", "yield", "yield from x", "await x",
    "lambda: (yield)", "from __future__ import annotations", "global x", "'text'",
    "lambda: await_(x)", "x = lambda y=1: y", "import x; from __future__ import division",
]  # fmt: skip
HEADS = [
    ["if x:"], ["if x:", "elif y:", "else:"], ["for x in y:"], ["for x in y:", "else:"],
    ["while x:"], ["while x:", "else:"], ["def f():"], ["async def f():"], ["class A:"],
    ["with x:"], ["async with x:"], ["async for x in y:"], ["try:", "finally:"],
    ["try:", "except A:", "else:"], ["try:", "except:"], ["try:", "except:", "except A:"],
    ["match x:\n\tcase 1:"], ["def f(a=(yield)):"], ["@g(await x)\ndef f():"],
]  # fmt: skip


def _indented(text: str) -> str:
    return "".join(f"\t{line}\n" for line in text.splitlines())


def _compound(heads: list[str], bodies: list[str]) -> str:
    written = []
    for head, body in zip(heads, bodies, strict=False):
        depth = head.rpartition("\n")[2].startswith("\t")
        written.append(f"{head}\n{_indented(_indented(body) if depth else body)}")
    return "".join(written)


BODIES = st.recursive(
    st.sampled_from(LEAVES).map(lambda leaf: leaf + "\n"),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.builds(_compound, st.sampled_from(HEADS), st.lists(inner, min_size=3, max_size=3)),
    ),
    max_leaves=8,
)


@given(BODIES)
@example("lambda: (yield)\nfrom __future__ import annotations\n")
def test_a_module_is_refused_where_the_compiler_refuses_it(text: str) -> None:
    data = text.encode()
    result = parse_source(data, "a.py", COURSE)
    if isinstance(result, Unparsed):
        with pytest.raises(SyntaxError):
            compile(data, "a.py", "exec", dont_inherit=True)
    else:
        compile(data, "a.py", "exec", dont_inherit=True)


@pytest.mark.parametrize(
    "text",
    [
        "def f():\n    return (yield)\n",
        "async def f():\n    await x\n    return [await y async for y in z]\n",
        "for x in y:\n    try:\n        break\n    finally:\n        continue\n",
        "x = lambda: (yield)\n",
        "class A:\n    def f(self):\n        return 1\n",
        '"""Text."""\nfrom __future__ import annotations\nfrom __future__ import division\n',
        "try:\n    pass\nexcept A:\n    pass\nexcept:\n    pass\n",
    ],
)
def test_what_stands_where_it_may_is_read(text: str) -> None:
    compile(text, "a.py", "exec", dont_inherit=True)
    assert isinstance(parse_source(text.encode(), "a.py", COURSE), ParsedModule)


def test_the_first_fault_is_named() -> None:
    text = "if x:\n    pass\nelse:\n    break\nreturn\n"
    result = parse_source(text.encode(), "a.py", COURSE)
    assert isinstance(result, Unparsed)
    assert (result.line, result.reason) == (4, "'break' outside loop")
