"""The table `[source_rules]`: what it means, and what it refuses."""

from __future__ import annotations

import pytest

from grader.source.rules import parse_source_rules

RULES = parse_source_rules(
    {
        "python": "3.11",
        "allowed_imports": ["torch", "torchvision.transforms", "numpy", "matplotlib"],
        "forbidden_imports": [
            "timm",
            {"module": "torchvision.models", "why": "write it"},
            {"module": "urllib.request", "kind": "network"},
        ],
        "forbidden_calls": [
            "os.system",
            "eval",
            {"call": "subprocess.*", "kind": "subprocess"},
            {"call": "os.exec*"},
        ],
    }
)


@pytest.mark.parametrize(
    "module",
    [
        "torch",
        "torch.nn.functional",
        "torchvision",
        "torchvision.transforms.v2",
        "numpy.linalg",
        "json",
        "xml.etree",
        "distutils.util",
        "mpl_toolkits.mplot3d",
    ],
)
def test_standard_allowed_below_and_above_may_be_imported(module: str) -> None:
    assert RULES.allows(module)


@pytest.mark.parametrize("module", ["pandas", "torchvision.utils", "torchx", "numpyx.y", "model"])
def test_everything_else_may_not(module: str) -> None:
    assert not RULES.allows(module)


def test_without_a_list_everything_is_allowed() -> None:
    assert parse_source_rules({}).allows("pandas")


def test_forbidden_modules_cover_what_is_below_them_and_nothing_beside() -> None:
    rule = RULES.forbidding("torchvision.models.resnet")
    assert rule is not None
    assert rule.why == "write it"
    assert RULES.forbidding("torchvision.models_of_mine") is None
    assert RULES.forbidding("torchvision") is None
    network = RULES.forbidding("urllib.request")
    assert network is not None
    assert network.kind == "network"


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        ("os.system", "rule"),
        ("subprocess.run", "subprocess"),
        ("builtins.eval", "rule"),
        ("os.execvp", "rule"),
    ],
)
def test_forbidden_calls(function: str, kind: str) -> None:
    rule = RULES.forbidding_call(function)
    assert rule is not None
    assert rule.kind == kind


@pytest.mark.parametrize("function", ["os.systems", "subprocesses.run", "os.environ", "eval"])
def test_calls_that_no_rule_names(function: str) -> None:
    assert RULES.forbidding_call(function) is None


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"pythn": "3.11"}, "source_rules.pythn: unknown key"),
        ({"python": 3.11}, "source_rules.python"),
        ({"python": "2.7"}, "source_rules.python"),
        ({"python": "3.4"}, "at least"),
        ({"pretrained_weights": "no"}, "source_rules.pretrained_weights: has to be true or false"),
        ({"allowed_imports": "torch"}, "source_rules.allowed_imports: has to be an array"),
        ({"allowed_imports": ["torch", ""]}, "source_rules.allowed_imports[1]"),
        ({"allowed_imports": [3]}, "source_rules.allowed_imports[0]"),
        ({"forbidden_imports": ["a.*"]}, "source_rules.forbidden_imports[0].module"),
        ({"forbidden_imports": [{"name": "a"}]}, "with the key 'module'"),
        ({"forbidden_imports": [["a"]]}, "source_rules.forbidden_imports[0]"),
        ({"forbidden_calls": ["os.*x"]}, "source_rules.forbidden_calls[0].call"),
        ({"forbidden_calls": [{"call": "a", "kind": "x"}]}, "source_rules.forbidden_calls[0].kind"),
        ({"forbidden_calls": [{"call": "a", "kind": []}]}, "source_rules.forbidden_calls[0].kind"),
        ({"forbidden_calls": [{"call": "a", "why": 1}]}, "source_rules.forbidden_calls[0].why"),
        ({"forbidden_calls": [{"call": "a", "y": 1}]}, "source_rules.forbidden_calls[0].y"),
    ],
)
def test_a_wrong_table_is_refused_with_the_keys_path(table: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is what is tested
        parse_source_rules(table)
    assert words in str(caught.value)
