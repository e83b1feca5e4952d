"""How scripts take their arguments, and which accepted form suits them."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest

from grader.source.command_line import CommandLine, detect_command_line, order_variants

OWN = ("python", "{evaluate}", "{checkpoint}", "{images}")
NAMED = ("python", "{evaluate}", "--model_ckpt", "{checkpoint}", "--test_imgs", "{images}")
OTHER = ("python", "{evaluate}", "--checkpoint", "{checkpoint}", "--images", "{images}")
THREE = ("python", "{evaluate}", "{checkpoint}", "{images}", "adam")
ONE = ("python", "{evaluate}", "{images}")
TEMPLATES = (OWN, NAMED, OTHER, THREE, ONE)

TRAIN = (
    ("python", "{train}", "{train_images}", "{checkpoint_dir}"),
    ("python", "{train}", "--train_data", "{train_images}", "--model_ckpt", "{checkpoint_dir}"),
    ("python", "{train}", "{train_images}", "{checkpoint_dir}", "adam"),
)


@pytest.fixture
def detect(tmp_path: Path):
    def run(source: str, others: Mapping[str, str] | None = None) -> CommandLine:
        for name, text in {"evaluate.py": source, **(others or {})}.items():
            (tmp_path / name).write_text(textwrap.dedent(text))
        return detect_command_line(tmp_path / "evaluate.py")

    return run


def argparsed(*arguments: str) -> str:
    lines = ["import argparse", "def main():", "    p = argparse.ArgumentParser()"]
    lines += [f"    p.add_argument({argument})" for argument in arguments]
    return "\n".join([*lines, "    a = p.parse_args()", "main()"]) + "\n"


SCRIPTS = {
    "by number": ("import sys\nckpt = sys.argv[1]\nimgs = sys.argv[2]\n", OWN),
    "in main, counted": (
        "import sys\ndef main():\n    if len(sys.argv) != 3:\n        sys.exit(1)\n"
        "    model_path, test_dir = sys.argv[1], sys.argv[2]\nmain()\n",
        OWN,
    ),
    "unpacked": ("import sys\n_, ckpt, imgs = sys.argv\n", OWN),
    "a slice": ("import sys\nckpt, imgs = sys.argv[1:3]\n", OWN),
    "a slice by number": ("import sys\nargs = sys.argv[1:]\nx = load(args[0], args[1])\n", OWN),
    "main takes them": (
        "import sys\ndef main(model_ckpt, test_imgs):\n    pass\nmain(*sys.argv[1:])\n",
        OWN,
    ),
    "an optional third": (
        "import sys\na = sys.argv[1]\nb = sys.argv[2]\nif len(sys.argv) > 3:\n    c = sys.argv[3]\n",
        OWN,
    ),
    "at least two": (
        "import sys\nif len(sys.argv) < 3:\n    sys.exit('usage')\nm, d = sys.argv[1], sys.argv[2]\n",
        OWN,
    ),
    "three by number": (
        "import sys\nckpt = sys.argv[1]\nimgs = sys.argv[2]\nopt = sys.argv[3].upper()\n",
        THREE,
    ),
    "three, counted": (
        "import sys\nif len(sys.argv) != 4:\n    sys.exit(1)\na, b, c = sys.argv[1:]\n",
        THREE,
    ),
    "images only": ("import sys\ntest_dir = sys.argv[1]\n", ONE),
    "argparse, plain": (argparsed("'model_ckpt'", "'test_imgs'"), OWN),
    "argparse, required": (
        argparsed("'--model_ckpt', required=True", "'--test_imgs', type=str, required=True"),
        NAMED,
    ),
    "argparse, defaults": (
        argparsed("'--model_ckpt', default='m.pth'", "'--test_imgs', default='test'"),
        NAMED,
    ),
    "argparse, abbreviated": (
        argparsed("'--model_ckpt_path', required=True", "'--test_imgs_dir', required=True"),
        NAMED,
    ),
    "argparse, short and long": (
        argparsed("'-c', '--checkpoint', required=True", "'-i', '--images', required=True"),
        OTHER,
    ),
    "argparse, choices": (
        argparsed("'ckpt'", "'imgs'", "'optimizer', choices=['sgd', 'adam']"),
        THREE,
    ),
    "argparse, a switch beside": (
        argparsed("'model_ckpt'", "'test_imgs'", "'--no-cuda', action='store_true'"),
        OWN,
    ),
    "click": (
        "import click\n@click.command()\n@click.option('--model_ckpt', required=True)\n"
        "@click.option('--test_imgs', required=True)\ndef main(model_ckpt, test_imgs):\n    pass\n"
        "main()\n",
        NAMED,
    ),
    "hard-coded paths": ("import os\nos.listdir('test')\n", OWN),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_form_that_suits_a_script_comes_first(detect, name: str) -> None:
    source, wanted = SCRIPTS[name]
    assert order_variants(detect(source), TEMPLATES)[0][0] == wanted


@pytest.mark.parametrize(
    "name", [name for name in SCRIPTS if name not in ("click", "a slice by number")]
)
def test_the_chosen_form_is_accepted_by_the_script_itself(detect, tmp_path, name: str) -> None:
    """Run each script with the form chosen for it: it must not object to its arguments."""
    source, _ = SCRIPTS[name]
    template, _ = order_variants(detect(source), TEMPLATES)[0]
    words = [word.format(evaluate="evaluate.py", checkpoint="m", images="i") for word in template]
    (tmp_path / "test").mkdir()
    subprocess.run([sys.executable, *words[1:]], cwd=tmp_path, check=True, capture_output=True)


def test_a_form_that_the_source_rules_out_is_not_tried(detect) -> None:
    flags = detect(argparsed("'--model_ckpt', required=True", "'--test_imgs', required=True"))
    assert [template for template, _ in order_variants(flags, TEMPLATES)] == [NAMED]


def test_swapped_names_are_not_fed_the_wrong_way_round(detect) -> None:
    swapped = detect("import sys\ntest_dir = sys.argv[1]\nmodel_path = sys.argv[2]\n")
    chosen = order_variants(swapped, TEMPLATES)
    assert chosen[0][0] == ("python", "{evaluate}", "{images}", "{checkpoint}")


def test_option_names_of_the_students_own_are_used_when_they_are_plain(detect) -> None:
    own = detect(argparsed("'--weights', required=True", "'--data_path', required=True"))
    ((template, note),) = order_variants(own, TEMPLATES)
    assert template == (
        *OWN[:2],
        "--weights",
        "{checkpoint}",
        "--data_path",
        "{images}",
    )
    assert "--weights" in note


@pytest.mark.parametrize(
    "arguments",
    [
        ("'--weights', required=True", "'--where', required=True"),
        ("'--weights', required=True", "'--data', required=True", "'--norm', required=True"),
        ("'--model_a', required=True", "'--model_b', required=True"),
    ],
)
def test_option_names_that_leave_a_doubt_are_not_guessed(detect, arguments) -> None:
    ((template, _),) = order_variants(detect(argparsed(*arguments)), TEMPLATES)
    assert template == OWN


@pytest.mark.parametrize(
    "source",
    [
        "import sys\ndef f(:",
        "import fire\nfire.Fire(main)\n",
        "import getopt, sys\ngetopt.getopt(sys.argv[1:], 'm:t:')\n",
        "import sys\nfor word in sys.argv:\n    print(word)\n",
        "import argparse\np = argparse.ArgumentParser()\ns = p.add_subparsers()\n"
        "s.add_parser('a').add_argument('x')\np.parse_args()\n",
    ],
)
def test_in_doubt_the_assignments_own_form_comes_first(detect, source: str) -> None:
    detected = detect(source)
    assert not detected.exact
    assert order_variants(detected, TEMPLATES)[0][0] == OWN


def test_a_parser_in_a_helper_is_found(detect) -> None:
    helper = "import argparse\ndef get_args():\n    p = argparse.ArgumentParser()\n"
    helper += "    p.add_argument('--model_ckpt')\n    p.add_argument('--test_imgs')\n"
    helper += "    return p.parse_args()\n"
    detected = detect("from options import get_args\nargs = get_args()\n", {"options.py": helper})
    assert order_variants(detected, TEMPLATES)[0][0] == NAMED


def test_a_parser_that_the_script_never_calls_is_not_meant(detect) -> None:
    source = argparsed("'--x', required=True").replace("\nmain()", "")
    source += "import sys\nckpt, imgs = sys.argv[1:3]\n"
    assert detect(source).style == "argv"


def test_train_forms(detect) -> None:
    by_name = detect(argparsed("'--train_data', required=True", "'--model_ckpt', required=True"))
    assert order_variants(by_name, TRAIN)[0][0] == TRAIN[1]
    three = detect(
        "import sys\ntrain_dir = sys.argv[1]\nout_dir = sys.argv[2]\noptimizer = sys.argv[3]\n"
    )
    assert order_variants(three, TRAIN)[0][0] == TRAIN[2]


def test_words_describe_what_was_found(detect) -> None:
    detected = detect(argparsed("'ckpt'", "'--out', required=True", "'--size', default=3"))
    assert detected.describe() == "takes <ckpt> --out [--size]"


def test_a_script_that_is_not_there_is_unknown(tmp_path: Path) -> None:
    assert detect_command_line(tmp_path / "gone.py").style == "unknown"
