"""Real tracebacks, made here by running small programs, and what they are said to mean."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.model import CaseRun, CaseSpec, CaseStatus, Finding, OutputSpec, RunLimits
from grader.source.diagnosis import diagnose_failure, is_usage_failure
from grader.source.tracebacks import read_traceback

CASE = CaseSpec(
    id="evaluate",
    title="label the images",
    argv=("python", "{evaluate}", "{checkpoint}", "{images}"),
    variants=(),
    limits=RunLimits(60, 60, 512 * 1024 * 1024, 10, 1, 1, 1, 1),
    outputs=(
        OutputSpec("labels", "submission.csv", "labels_csv", {}),
        OutputSpec("masks", "seg_maps", "mask_images", {}),
    ),
    outputs_schema=None,
)


def a_run(
    stderr: str,
    exit_code: int | None = 1,
    signal: int | None = None,
) -> CaseRun:
    status = CaseStatus.KILLED if signal else CaseStatus.FAILED
    return CaseRun(
        "evaluate", (), 0, status, exit_code, signal, "", 1.0, 1.0, 1, "", stderr, False, False,
        Path(), "none",
    )  # fmt: skip


@pytest.fixture
def diagnose(layout_of):
    """Write the files, run evaluate.py for real (without torch), and diagnose what it said."""

    def run(files: Mapping[str, str], *arguments: str) -> Finding:
        layout = layout_of(files)
        ended = subprocess.run(
            [sys.executable, "-I", "-c", RUNNER, *arguments],
            cwd=layout.top,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode != 0
        return diagnose_failure(layout, CASE, a_run(ended.stderr, ended.returncode), "evaluate.py")

    return run


# As the sandbox starts a script, with its folder first on the path.
RUNNER = (
    "import runpy, sys; sys.path.insert(0, '.'); sys.argv[0] = 'evaluate.py'; "
    "runpy.run_path('evaluate.py', run_name='__main__')"
)


@pytest.fixture
def explain(layout_of):
    """Diagnose a traceback that ends in `error`, in line 7 of evaluate.py."""

    def run(error: str, files: Mapping[str, str] | None = None, source: str = "f()") -> Finding:
        layout = layout_of({"evaluate.py": "pass\n", **(files or {})})
        stderr = (
            "loading\nTraceback (most recent call last):\n"
            f'  File "/work/evaluate.py", line 7, in <module>\n    {source}\n'
            '  File "/usr/lib/python3/site-packages/torch/evaluate.py", line 9, in load\n'
            f"    g()\n{error}\n"
        )
        return diagnose_failure(layout, CASE, a_run(stderr), "evaluate.py")

    return run


def test_a_file_that_train_writes(diagnose) -> None:
    finding = diagnose(
        {
            "evaluate.py": "import labels\n\nlabels.load()\n",
            "labels.py": "import json\ndef load():\n    return json.load(open('classes.json'))\n",
            "train.py": "import json\njson.dump([], open('classes.json', 'w'))\n",
        }
    )
    assert finding.code == "run.missing-file"
    assert finding.message == (
        "evaluate.py opens classes.json, which is not in the zip; train.py writes it: "
        "put it into the zip"
    )
    assert str(finding.place) == "labels.py:3"


@pytest.mark.parametrize(
    ("source", "code", "line", "words"),
    [
        ("open('gone.txt')\n", "run.missing-file", 1, "gone.txt, which is not in the zip"),
        ("open('Labels.json')\n", "run.missing-file", 1, "labels.json differs only in capitals"),
        ("open('deep.txt')\n", "run.missing-file", 1, "folder/deep.txt lies elsewhere"),
        ("open('/home/me/x')\n", "run.missing-file", 1, "only on the author's machine"),
        ("open('seg_maps/a.png', 'w')\n", "run.missing-file", 1, "folder seg_maps does not exist"),
        ("open('out/a.txt', 'w')\n", "run.missing-file", 1, "folder out does not exist"),
        ("import gone\n", "run.missing-module", 1, "gone, which is not in the zip"),
        ("import Helper\n", "run.missing-module", 1, "helper.py differs only in capitals"),
        ("import deeper\n", "run.missing-module", 1, "folder/deeper.py lies in another folder"),
        ("from .helper import x\n", "run.missing-module", 1, "relatively"),
        ("from helper import y\n", "run.missing-module", 1, "imports y from helper"),
        ("import sys\n\nx = sys.argv[7]\n", "run.usage", 3, "other arguments"),
        ("import sys\na, b, c = sys.argv\n", "run.usage", 2, "other arguments"),
        ("x = [1]\nx[4]\n", "run.crash", 2, "IndexError: list index out of range"),
        ("x = {}\nx['owl']\n", "run.key-error", 2, "'owl'"),
        ("bytearray(10 ** 15)\n", "run.memory", 1, "512 MiB"),
        ("input()\n", "run.asks-for-input", 1, "type something"),
        ("open('.')\n", "run.file-or-folder", 1, "takes . for a file"),
        ("1 / 0\n", "run.no-images", 1, "no images"),
        ("raise RuntimeError\n", "run.crash", 1, "RuntimeError"),
        ("class Odd(Exception): pass\nraise Odd('hm')\n", "run.crash", 2, "Odd: hm"),
        ("def f(:\n    pass\n", "run.crash", 1, "SyntaxError"),
        ("import sys\nsys.exit('no model')\n", "run.exit-code", None, 'code 1, after "no model"'),
        ("import sys\nsys.exit(3)\n", "run.exit-code", None, "exit code 3"),
    ],
)
def test_what_python_says_is_put_into_the_students_terms(
    diagnose, source: str, code: str, line: int | None, words: str
) -> None:
    finding = diagnose(
        {
            "evaluate.py": source,
            "helper.py": "",
            "labels.json": "",
            "folder/deep.txt": "",
            "folder/deeper.py": "",
        }
    )
    assert finding.code == code
    assert words in finding.message
    assert finding.place is not None
    assert (finding.place.path, finding.place.line) == ("evaluate.py", line)
    assert finding.hint


def test_argparse_is_quoted(diagnose) -> None:
    finding = diagnose(
        {
            "evaluate.py": "import argparse\np = argparse.ArgumentParser()\n"
            "p.add_argument('--model', required=True)\np.parse_args()\n"
        }
    )
    assert finding.code == "run.usage"
    assert "the following arguments are required: --model" in finding.message
    assert "python evaluate.py checkpoint images" in finding.hint


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (
            "RuntimeError: Error(s) in loading state_dict for ResNet:\n"
            '\tMissing key(s) in state_dict: "conv1.weight", "fc.bias". \n'
            '\tUnexpected key(s) in state_dict: "module.conv1.weight", "module.fc.bias". ',
            "run.state-dict-mismatch",
            'begins with "module."',
        ),
        (
            "RuntimeError: Error(s) in loading state_dict for ResNet:\n"
            '\tMissing key(s) in state_dict: "conv1.weight". \n'
            '\tUnexpected key(s) in state_dict: "model_state_dict", "epoch". ',
            "run.state-dict-mismatch",
            'under "model_state_dict"',
        ),
        (
            "RuntimeError: Error(s) in loading state_dict for ResNet:\n"
            "\tsize mismatch for fc.weight: copying a param with shape torch.Size([100, 128]) from "
            "checkpoint, the shape in current model is torch.Size([101, 128]).",
            "run.state-dict-mismatch",
            "fc.weight has the shape [100, 128] in the checkpoint and [101, 128] in the network",
        ),
        (
            "RuntimeError: Error(s) in loading state_dict for ResNet:\n"
            '\tMissing key(s) in state_dict: "layer1.0.weight", "fc.bias". ',
            "run.state-dict-mismatch",
            "it lacks layer1.0.weight, fc.bias",
        ),
        (
            "AttributeError: Can't get attribute 'ResNet' on <module '__main__' from 'x'>",
            "run.whole-module-checkpoint",
            "the class ResNet",
        ),
        (
            "_pickle.UnpicklingError: Weights only load failed. This file can still be loaded",
            "run.whole-module-checkpoint",
            "more than weights",
        ),
        (
            "AttributeError: 'collections.OrderedDict' object has no attribute 'eval'",
            "run.state-dict-mismatch",
            "(eval)",
        ),
        (
            "_pickle.UnpicklingError: invalid load key, 'v'.",
            "run.unreadable-checkpoint",
            "invalid load key",
        ),
        (
            "RuntimeError: PytorchStreamReader failed reading zip archive",
            "run.unreadable-checkpoint",
            "cannot read the checkpoint",
        ),
        ("AssertionError: Torch not compiled with CUDA enabled", "run.cuda", "GPU"),
        (
            "RuntimeError: Attempting to deserialize object on a CUDA device but "
            "torch.cuda.is_available() is False. If you are running on a CPU-only machine",
            "run.cuda",
            "GPU",
        ),
        (
            "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB",
            "run.memory",
            "512 MiB",
        ),
        (
            "RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory: you tried",
            "run.memory",
            "more memory",
        ),
        (
            "numpy.core._exceptions._ArrayMemoryError: Unable to allocate 9 GiB for an array",
            "run.memory",
            "more memory",
        ),
        (
            "FileNotFoundError: Couldn't find any class folder in /test.",
            "run.expects-class-folders",
            "ImageFolder",
        ),
        (
            "FileNotFoundError: [Errno 2] No such file or directory: '/test/OWL'",
            "run.missing-file",
            "images only, no class folders",
        ),
        ("OSError: [Errno 30] Read-only file system: '/test/out'", "run.read-only", "/test/out"),
        ("PermissionError: [Errno 13] Permission denied: '/out'", "run.read-only", "/out"),
        ("OSError: [Errno 28] No space left on device", "run.disk", "disk"),
        ("RuntimeError: can't start new thread", "run.processes", "threads"),
        (
            "urllib.error.URLError: <urlopen error [Errno -3] Temporary failure in name resolution>",
            "run.network",
            "network",
        ),
        ("_tkinter.TclError: no display name and no $DISPLAY", "run.needs-display", "window"),
        (
            "ValueError: num_samples should be a positive integer value, but got num_samples=0",
            "run.no-images",
            "no images",
        ),
        (
            "AttributeError: 'NoneType' object has no attribute 'shape'",
            "run.unreadable-image",
            "cv2.imread",
        ),
        (
            "cv2.error: OpenCV(4.10.0) /io/color.cpp:196: error: (-215:Assertion failed) "
            "!_src.empty() in function 'cvtColor'",
            "run.unreadable-image",
            "cv2.imread",
        ),
        (
            "PIL.UnidentifiedImageError: cannot identify image file '/test/notes.txt'",
            "run.unreadable-image",
            "/test/notes.txt",
        ),
        ("KeyError: 'model_state_dict'", "run.key-error", "in the checkpoint"),
        (
            "RuntimeError: mat1 and mat2 shapes cannot be multiplied (1x4 and 128x100)",
            "run.shapes",
            "mat1",
        ),
        (
            "RuntimeError: Expected all tensors to be on the same device, but found at least two",
            "run.cuda",
            "different devices",
        ),
    ],
)
def test_what_libraries_say_is_put_into_the_students_terms(
    explain, error: str, code: str, words: str
) -> None:
    finding = explain(error)
    assert finding.code == code
    assert words in finding.message
    assert str(finding.place) == "evaluate.py:7"  # the student's frame, not the library's


def test_the_error_of_a_worker_process_is_taken_from_its_own_traceback(layout_of) -> None:
    layout = layout_of({"evaluate.py": "pass\n", "data.py": "pass\n"})
    stderr = (
        "Traceback (most recent call last):\n"
        '  File "/work/evaluate.py", line 3, in <module>\n    for x in loader:\n'
        "FileNotFoundError: Caught FileNotFoundError in DataLoader worker process 0.\n"
        "Original Traceback (most recent call last):\n"
        '  File "/work/data.py", line 8, in __getitem__\n    open("x")\n'
        "FileNotFoundError: [Errno 2] No such file or directory: 'x'\n"
    )
    finding = diagnose_failure(layout, CASE, a_run(stderr), "evaluate.py")
    assert finding.code == "run.missing-file"
    assert str(finding.place) == "data.py:8"


def test_of_chained_exceptions_the_last_is_taken() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "try:\n    {}['a']\nexcept KeyError:\n    1 / 0"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    traceback = read_traceback(ended.stderr)
    assert traceback is not None
    assert traceback.text == "ZeroDivisionError: division by zero"


def test_a_signal_is_named(layout_of) -> None:
    layout = layout_of({"evaluate.py": ""})
    finding = diagnose_failure(layout, CASE, a_run("", None, 11), "evaluate.py")
    assert finding.code == "run.killed"
    assert "signal 11" in finding.message


def test_terminal_codes_and_floods_do_not_reach_the_finding(explain) -> None:
    finding = explain("ValueError: \x1b[31mred\x07 " + "x" * 10_000)
    assert "\x1b" not in finding.message
    assert len(finding.message) < 500


def test_usage_failures_are_told_from_crashes() -> None:
    def stderr_of(source: str) -> tuple[int, str]:
        ended = subprocess.run(
            [sys.executable, "-c", source], capture_output=True, text=True, check=False
        )
        return ended.returncode, ended.stderr

    argparsed = (
        "import argparse\np = argparse.ArgumentParser()\np.add_argument('x')\np.parse_args()"
    )
    assert is_usage_failure(*stderr_of(argparsed))
    by_hand = "import sys\nprint('Usage: x y', file=sys.stderr)\nsys.exit(1)"
    assert is_usage_failure(*stderr_of(by_hand))
    assert is_usage_failure(
        1,
        'Traceback (most recent call last):\n  File "/work/e.py", line 2, in <module>\n'
        "    x = sys.argv[3]\n        ~~~~~~~~^^^\nIndexError: list index out of range\n",
    )
    assert not is_usage_failure(*stderr_of("[][1]"))
    assert not is_usage_failure(*stderr_of("import sys\nsys.exit(1)"))
    assert is_usage_failure(1, "", "Usage: python evaluate.py <ckpt> <dir>\n")
    assert not is_usage_failure(0, "usage: x")
    assert not is_usage_failure(None, "usage: x")


@given(st.text(max_size=300), st.integers(-5, 300))
def test_any_text_on_stderr_is_survived(text: str, exit_code: int) -> None:
    read_traceback(text)
    read_traceback(f'Traceback (most recent call last):\n  File "a", line 1\n{text}')
    is_usage_failure(exit_code, text)
