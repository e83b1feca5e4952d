"""Say why a student's program stopped, in the student's terms: from its traceback, its exit
code, and what its source says about the files it opens and writes.

A diagnosis is for the student. It never decides marks: everything here is text that the program
itself wrote, and may be anything.
"""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Callable
from typing import NamedTuple

from grader.findings import found, listed, quoted
from grader.model import CaseRun, CaseSpec, CaseStatus, CheckedLayout, Finding
from grader.source.absent import explain_absent_file, explain_absent_module
from grader.source.survey import SurveyedSource, files_of, scripts_of, survey_source
from grader.source.tracebacks import Frame, read_traceback

_USAGE = re.compile(r"^\s*usage:", re.IGNORECASE | re.MULTILINE)
_USAGE_ERROR = re.compile(r"^(?:\S+: )?error: (.+)$", re.IGNORECASE | re.MULTILINE)
_SIZES = re.compile(
    r"size mismatch for (\S+?): .*?(\[[\d, ]*\]).*?(\[[\d, ]*\])",
    re.DOTALL,
)
_TEXT_LIMIT = 240


def is_usage_failure(exit_code: int | None, stderr: str, stdout: str = "") -> bool:
    """Whether the program only objected to its arguments, and so did nothing yet.

    argparse and click exit with 2 and print a usage; a script that reads `sys.argv` raises an
    IndexError or ValueError on a line that names it; a hand-written check prints "Usage: …".
    """
    if not exit_code:
        return False
    traceback = read_traceback(stderr)
    if traceback is not None:
        own = next((frame for frame in reversed(traceback.frames)), None)
        return (
            traceback.exception in ("IndexError", "ValueError")
            and own is not None
            and "argv" in own.source
        )
    return _USAGE.search(stderr) is not None or _USAGE.search(stdout) is not None


def diagnose_failure(layout: CheckedLayout, case: CaseSpec, run: CaseRun, script: str) -> Finding:
    """The one finding that says why `script` failed in `run`.

    Names the last line inside the student's own files where the traceback has one.
    """
    return _Diagnosis(layout, case, run, script).finding()


class _Diagnosis:
    """One failed run."""

    def __init__(self, layout: CheckedLayout, case: CaseSpec, run: CaseRun, script: str) -> None:
        self.layout = layout
        self.case = case
        self.run = run
        self.script = script
        self.files = files_of(layout)
        self.traceback = read_traceback(run.stderr)
        own = self.traceback.own_frame(self.files) if self.traceback else None
        self.path: str = own[0] if own else script
        self.frame: Frame | None = own[1] if own else None

    def finding(self) -> Finding:
        if self.traceback is None:
            return self._without_traceback()
        for rule in _RULES:
            match = rule.pattern.search(self.traceback.text)
            if match:
                answer = rule.explain(self, match)
                if answer is not None:
                    return self._found(rule.code, *answer)
        return self._found("run.crash", f"stops with {self._quoted_error()}", None)

    def _found(self, code: str, said: str, hint: str | None) -> Finding:
        evidence: dict[str, object] = {"exit_code": self.run.exit_code}
        if self.traceback is not None:
            evidence["error"] = quoted(self.traceback.text, _TEXT_LIMIT)
        line = None
        if self.frame is not None:
            line = self.frame.line
            evidence["source"] = quoted(self.frame.source, _TEXT_LIMIT)
        return found(
            code, f"{self.script} {said}", path=self.path, line=line, hint=hint, evidence=evidence
        )

    def _quoted_error(self) -> str:
        assert self.traceback is not None
        return quoted(self.traceback.text.partition("\n")[0], _TEXT_LIMIT)

    # ------------------------------------------------------------------ no traceback

    def _without_traceback(self) -> Finding:
        run = self.run
        if is_usage_failure(run.exit_code, run.stderr, run.stdout):
            error = _USAGE_ERROR.search(run.stderr)
            said = f': "{quoted(error[1], _TEXT_LIMIT)}"' if error else ""
            return self._found("run.usage", f"refuses its arguments{said}", self._argument_hint())
        if run.status is CaseStatus.KILLED:
            hint = None
            if run.signal == _SEGMENTATION_FAULT:
                hint = "often a library called with an array of the wrong shape or type"
            return self._found("run.killed", f"was ended by signal {run.signal}", hint)
        last = run.stderr.strip().splitlines()[-1:]
        said = f', after "{quoted(last[0], _TEXT_LIMIT)}"' if last else " and no word on stderr"
        return self._found("run.exit-code", f"ends with exit code {run.exit_code}{said}", None)

    # ------------------------------------------------------------------ what the source says

    def missing_file(self, match: re.Match[str]) -> tuple[str, str | None]:
        path = _below_work(match["path"])
        source = survey_source(self.layout.top, scripts_of(self.layout), sys.version_info[:2])
        if self._is_output(path) or self._is_writing_here(source):
            folder = posixpath.dirname(path) or path
            return (
                f"writes {quoted(path)}, but the folder {quoted(folder)} does not exist",
                f"make it first: os.makedirs({folder!r}, exist_ok=True)",
            )
        for mount, what in _MOUNTS.items():
            if path.startswith(f"{mount}/"):
                return (
                    f"opens {quoted(path)}, which is not in {what}",
                    "list the folder that was given, and use the names as they are",
                )
        if path.startswith(("/", "~")) or re.match(r"[A-Za-z]:[\\/]", path):
            return (
                f"opens {quoted(path)}, a place that exists only on the author's machine",
                "take folders from the command line, or from the script's own folder (__file__)",
            )
        writers = source.writers(posixpath.basename(path), self.script)
        absent = explain_absent_file(path, self.files, writers, self.script)
        return f"opens {quoted(path)}, which is not in the zip{absent.said}", absent.hint

    def _is_output(self, path: str) -> bool:
        return any(
            path.startswith(f"{output.path.rstrip('/')}/")
            for output in self.case.outputs
            if output.path
        )

    def _is_writing_here(self, source: SurveyedSource) -> bool:
        return self.frame is not None and any(
            opened.use.writes and opened.module == self.path and opened.use.line == self.frame.line
            for script in source.scripts
            for opened in script.opened
        )

    def missing_module(self, match: re.Match[str]) -> tuple[str, str | None]:
        module = match["module"]
        expected = f"{module.replace('.', '/')}.py"
        absent = explain_absent_module(expected, self.files, self.script)
        said = f"imports {quoted(module)}, which is not in the zip and not installed"
        return said + absent.said, absent.hint

    def state_dict_mismatch(self, _: re.Match[str]) -> tuple[str, str | None]:
        assert self.traceback is not None
        text = self.traceback.message
        said = "loads a checkpoint that does not fit its network"
        missing, unexpected = _keys(text, "Missing"), _keys(text, "Unexpected")
        sizes = re.search(
            r"size mismatch for (\S+?): .*?(\[[\d, ]*\]).*?(\[[\d, ]*\])", text, re.DOTALL
        )
        if unexpected and all(key.startswith("module.") for key in unexpected):
            return (
                f'{said}: every name in it begins with "module."',
                "it was saved from DataParallel: save model.module.state_dict() instead",
            )
        if unexpected and _WRAPPERS & set(unexpected):
            wrapper = sorted(_WRAPPERS & set(unexpected))[0]
            return (
                f'{said}: the weights lie under "{wrapper}" in it',
                f'load_state_dict(checkpoint["{wrapper}"])',
            )
        if sizes:
            return (
                f"{said}: {quoted(sizes[1])} has the shape {sizes[2]} in the checkpoint and "
                f"{sizes[3]} in the network",
                "build the network with the numbers (classes, filters) that it was trained with",
            )
        if missing:
            return f"{said}: it lacks {listed(missing)}", None
        return (f"{said}: it also holds {listed(unexpected)}" if unexpected else said), None

    def key_error(self, match: re.Match[str]) -> tuple[str, str | None]:
        key = match["key"]
        if key.strip("'\"") in _WRAPPERS:
            return (
                f"looks for {quoted(key)} in the checkpoint, which does not have it",
                "save and load the checkpoint in the same form",
            )
        return f"looks up {quoted(key)}, which is not there", None

    def arguments(self, _: re.Match[str]) -> tuple[str, str | None] | None:
        frames = self.traceback.frames if self.traceback else ()
        if not frames or "argv" not in frames[-1].source:
            return None
        return "finds other arguments than it expects", self._argument_hint()

    def _argument_hint(self) -> str:
        words = " ".join(word.strip("{}") for word in self.case.argv[1:])
        return f"the assignment calls it as: python {self.script} {' '.join(words.split()[1:])}"

    def out_of_memory(self, _: re.Match[str]) -> tuple[str, str | None]:
        mib = self.case.limits.memory_bytes // (1024 * 1024)
        return (
            f"needs more memory than there is ({mib} MiB): {self._quoted_error()}",
            "work on smaller batches, and under torch.no_grad() where no gradient is needed",
        )

    def says(self, match: re.Match[str], template: str, hint: str | None) -> tuple[str, str | None]:
        """`template` with the pattern's groups, quoted, and `{error}`."""
        groups = {
            name: quoted(text, _TEXT_LIMIT) if text else ""
            for name, text in match.groupdict().items()
        }
        return template.format(error=self._quoted_error(), **groups), hint


_SEGMENTATION_FAULT = 11
_WRAPPERS = {"state_dict", "model_state_dict", "model", "net", "weights"}
_WORK = "/work/"
_MOUNTS = {
    "/test": "the folder of test images (it holds images only, no class folders)",
    "/train": "the training folder",
    "/model_ckpt": "the checkpoint's folder",
    "/checkpoint": "the checkpoint's folder",
}


def _below_work(path: str) -> str:
    """A path as the student wrote it: relative where it lies in the working directory."""
    return path.removeprefix(_WORK) if path.startswith(_WORK) else path


def _keys(text: str, kind: str) -> list[str]:
    match = re.search(rf"{kind} key\(s\) in state_dict: (.+?)\.\s*(?:\n|$)", text, re.DOTALL)
    return re.findall(r'"([^"\n]{1,200})"', match[1]) if match else []


class _Rule(NamedTuple):
    """If `pattern` is found in the exception's text, `explain` says what it means."""

    pattern: re.Pattern[str]
    code: str
    explain: Callable[[_Diagnosis, re.Match[str]], tuple[str, str | None] | None]


def _rule(
    pattern: str,
    code: str,
    explain: Callable[[_Diagnosis, re.Match[str]], tuple[str, str | None] | None] | str,
    hint: str | None = None,
) -> _Rule:
    if isinstance(explain, str):
        template = explain

        def answer(diagnosis: _Diagnosis, match: re.Match[str]) -> tuple[str, str | None]:
            return diagnosis.says(match, template, hint)

        return _Rule(re.compile(pattern, re.DOTALL), code, answer)
    return _Rule(re.compile(pattern, re.DOTALL), code, explain)


# The first rule that matches speaks; the more particular ones come first.
_RULES: tuple[_Rule, ...] = (
    _rule(
        r"Couldn't find any class folder in (?P<path>\S+?)\.?$",
        "run.expects-class-folders",
        "reads the images with ImageFolder, which wants class folders; the given folder holds only "
        "images",
        "list the images yourself: sorted(os.listdir(folder))",
    ),
    _rule(
        r"No such file or directory: b?['\"](?P<path>[^\n]+?)['\"](?: -> .*)?$",
        "run.missing-file",
        _Diagnosis.missing_file,
    ),
    _rule(
        r"^ModuleNotFoundError: No module named ['\"](?P<module>[\w.]+)['\"]",
        "run.missing-module",
        _Diagnosis.missing_module,
    ),
    _rule(
        r"^ImportError: attempted relative import",
        "run.missing-module",
        "imports relatively (`from .x import y`), but a script belongs to no package",
        "drop the leading dot: files beside a script are imported by their plain name",
    ),
    _rule(
        r"^ImportError: cannot import name '(?P<name>[^']+)' from '(?P<module>[^']+)'",
        "run.missing-module",
        "imports {name} from {module}, which has no such name",
        "check the spelling, and that the newest version of that file is in the zip",
    ),
    _rule(r"^(IndexError|ValueError): ", "run.usage", _Diagnosis.arguments),
    _rule(
        r"Error\(s\) in loading state_dict",
        "run.state-dict-mismatch",
        _Diagnosis.state_dict_mismatch,
    ),
    _rule(
        r"Can't get attribute '(?P<name>[^']+)' on <module '__main__'",
        "run.whole-module-checkpoint",
        "cannot unpickle the checkpoint: it holds a whole object of the class {name}, which was "
        "defined in the script that saved it",
        "save the weights only: torch.save(model.state_dict(), path)",
    ),
    _rule(
        r"Weights only load failed",
        "run.whole-module-checkpoint",
        "cannot load the checkpoint: it holds more than weights, which torch.load refuses "
        "(weights_only=True is the default since torch 2.6)",
        "save the weights only: torch.save(model.state_dict(), path)",
    ),
    _rule(
        r"'(?:collections\.)?(?:OrderedDict|dict)' object has no attribute '(?P<name>\w+)'",
        "run.state-dict-mismatch",
        "uses the loaded checkpoint as a network ({name}), but it is a dictionary of weights",
        "build the network first, then model.load_state_dict(torch.load(path))",
    ),
    _rule(
        r"PytorchStreamReader failed|invalid load key|^EOFError: Ran out of input"
        r"|^UnpicklingError|not a ZIP archive",
        "run.unreadable-checkpoint",
        "cannot read the checkpoint: {error}",
        "check that the file was saved and copied completely; a Git LFS pointer is no checkpoint",
    ),
    _rule(
        r"out of memory|^OutOfMemoryError|^MemoryError|can't allocate memory|Unable to allocate"
        r"|Cannot allocate memory",
        "run.memory",
        _Diagnosis.out_of_memory,
    ),
    _rule(
        r"Torch not compiled with CUDA|no NVIDIA driver|No CUDA GPUs are available"
        r"|on a CUDA device but torch\.cuda\.is_available\(\) is False"
        r"|CUDA driver initialization|CUDA error",
        "run.cuda",
        "takes a GPU for granted: {error}",
    ),
    _rule(
        r"Expected all tensors to be on the same device",
        "run.cuda",
        "mixes tensors of different devices",
        "move the model and every batch to the same device",
    ),
    _rule(
        r"Read-only file system: ['\"](?P<path>[^'\"\n]+)"
        r"|Permission denied: ['\"](?P<other>[^'\"\n]+)",
        "run.read-only",
        "writes {path}{other}, where it may only read",
        "write to the current working directory, never into the folders that were given",
    ),
    _rule(
        r"No space left on device",
        "run.disk",
        "fills the disk that it was given",
        "write only what the assignment asks for",
    ),
    _rule(
        r"can't start new thread|Resource temporarily unavailable",
        "run.processes",
        "starts more processes or threads than it may",
        "use num_workers=0 or a small number",
    ),
    _rule(
        r"Is a directory: ['\"](?P<path>[^'\"\n]+)|Not a directory: ['\"](?P<other>[^'\"\n]+)",
        "run.file-or-folder",
        "takes {path}{other} for a file where it is a folder, or the other way round",
        "check the order of the arguments: the checkpoint comes first, then the folder of images",
    ),
    _rule(
        r"(?:URLError|ConnectionError|ConnectTimeout|gaierror|Temporary failure in name resolution"
        r"|Network is unreachable|Max retries exceeded)",
        "run.network",
        "wants to use a network, and there is none",
    ),
    _rule(
        r"^EOFError: EOF when reading a line",
        "run.asks-for-input",
        "waits for somebody to type something (input())",
        "take everything from the command line; nobody sits at the keyboard",
    ),
    _rule(
        r"(?:TclError|no display name|could not connect to display|Qt platform plugin"
        r"|Rebuild the library with Windows, GTK)",
        "run.needs-display",
        "wants to open a window, and there is no screen",
        'write figures to files; matplotlib.use("Agg") before pyplot is imported',
    ),
    _rule(
        r"num_samples=0|need at least one array|expects a non-empty TensorList|division by zero",
        "run.no-images",
        "seems to have found no images: {error}",
        "list the folder that was given, and accept .jpg, .jpeg and .png in any capitals",
    ),
    _rule(
        r"^(?:AttributeError: 'NoneType' object has no attribute '(?:shape|astype|copy|dtype|ndim)'"
        r"|error: OpenCV\S* .*!(?:_src|src|ssize)\.empty\(\))",
        "run.unreadable-image",
        "uses an image that cv2.imread could not read (it returned None)",
        "check the path: cv2.imread does not complain about a file that is not there",
    ),
    _rule(
        r"^UnidentifiedImageError: cannot identify image file ['\"]?(?P<path>[^'\"\n>]+)",
        "run.unreadable-image",
        "opens {path} as an image, which it is not",
        "open only files that end in .jpg, .jpeg or .png",
    ),
    _rule(r"^KeyError: (?P<key>[^\n]+)", "run.key-error", _Diagnosis.key_error),
    _rule(
        r"^RuntimeError: (?P<what>mat1 and mat2 shapes|stack expects each tensor|Given groups="
        r"|The size of tensor|shape '\[)",
        "run.shapes",
        "combines arrays whose shapes do not fit: {error}",
        "test images may have any size: resize every image before stacking or the network",
    ),
)
