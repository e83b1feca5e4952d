"""Gradescope's autograder: a zip with `setup.sh` and `run_autograder`, and what the latter runs.

Gradescope unpacks a student's zip into `submission/`, runs `run_autograder` once per submission and
reads `results/results.json`. There the folder is packed again, so that it goes through the very
same doors as a zip; its name is made of the entry number that the roster gives, because the one
the student chose is lost.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

from grader.errors import UsageError
from grader.model import Assignment
from grader.whole_file import whole_file

_EPOCH = (1980, 1, 1, 0, 0, 0)

_SETUP = """\
#!/usr/bin/env bash
# Run once, when Gradescope builds the image.
set -euo pipefail
apt-get update
apt-get install -y --no-install-recommends python3 python3-venv bubblewrap
python=python3
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  # Ubuntu 22.04, Gradescope's default image, has 3.10 by that name and 3.11 beside it.
  apt-get install -y --no-install-recommends python3.11 python3.11-venv
  python=python3.11
fi
"$python" -m venv /autograder/venv
/autograder/venv/bin/pip install --require-hashes -r /autograder/source/{lock}
/autograder/venv/bin/pip install --no-deps /autograder/source/grader-source
/autograder/venv/bin/grader doctor || true
"""

_RUN = """\
#!/usr/bin/env bash
# Run for every submission. Without a results.json Gradescope says that the autograder failed, which
# is what a fault of the grader is: it must not become a student's zero.
set -euo pipefail
root="${{AUTOGRADER_ROOT:-/autograder}}"
exec "${{GRADER:-$root/venv/bin/grader}}" integrations gradescope-run \\
  --root "$root" --assignment "$root/source/assignment"{truth}
"""


def build_autograder(
    assignment: Assignment, out: Path, *, masks: Path | None, images: Path | None
) -> tuple[str, ...]:
    """Write the autograder zip; returns its entries' names.

    With `images` (and their `masks`, where the assignment measures any) the submission is scored,
    otherwise its format is checked.
    The bytes are the same for the same input. Raises UsageError when a file cannot be read or
    written, or when the grader does not run from a source tree with its lock files.
    """
    package = Path(__file__).parents[1]
    project = package.parent
    lock = "requirements.lock" if images is not None else "requirements-check.lock"
    needed = [project / name for name in ("pyproject.toml", "README.md", "LICENSE", lock)]
    missing = [path.name for path in needed if not path.is_file()]
    if missing:
        raise UsageError(
            f"{project}: {', '.join(missing)} not found",
            hint="build the autograder from a checkout of the grader: its lock file goes along",
        )
    truth = ""
    entries: dict[str, Path | bytes] = {}
    if masks is not None:
        if images is None:
            raise UsageError("--gt needs --images", hint="name the folder of the hidden images")
        truth += ' \\\n  --gt "$root/source/truth/MASKS"'
        entries |= dict(_tree(masks, "truth/MASKS"))
    if images is not None:
        truth += ' \\\n  --images "$root/source/truth/images"'
        entries |= dict(_tree(images, "truth/images"))
    entries["setup.sh"] = _SETUP.format(lock=lock).encode()
    entries["run_autograder"] = _RUN.format(truth=truth).encode()
    entries[lock] = project / lock
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        entries[f"grader-source/{name}"] = project / name
    entries |= dict(_tree(package, "grader-source/grader"))
    entries |= dict(_tree(assignment.directory, "assignment"))
    _write_zip(out, entries)
    return tuple(sorted(entries))


def _tree(folder: Path, below: str) -> Iterator[tuple[str, Path]]:
    if not folder.is_dir():
        raise UsageError(f"{folder}: is not a folder")
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield f"{below}/{path.relative_to(folder).as_posix()}", path


def _write_zip(out: Path, entries: dict[str, Path | bytes]) -> None:
    try:
        with whole_file(out) as file, zipfile.ZipFile(file, "w") as archive:
            for name in sorted(entries):
                content = entries[name]
                info = zipfile.ZipInfo(name, _EPOCH)
                script = name in ("setup.sh", "run_autograder")
                info.external_attr = (0o100755 if script else 0o100644) << 16
                info.compress_type = zipfile.ZIP_DEFLATED
                data = content if isinstance(content, bytes) else content.read_bytes()
                archive.writestr(info, data)
    except OSError as error:
        raise UsageError(f"{out}: cannot be written: {error.strerror or error}") from error


def submitted_zip(root: Path, assignment: Assignment, scratch: Path) -> Path:
    """The submission in Gradescope's tree as a zip of an accepted name, in `scratch`.

    A single zip in `submission/` is taken as it is; loose files are packed again. Raises UsageError
    when there is nothing.
    """
    folder = root / "submission"
    if not folder.is_dir():
        raise UsageError(f"{folder}: is not a folder", hint="--root is Gradescope's /autograder")
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    if not files:
        raise UsageError(f"{folder}: holds no file")
    if len(files) == 1 and files[0].suffix.lower() == ".zip":
        return files[0]
    out = scratch / assignment.zip_names[0].format(entry=_entry_number(root, assignment))
    _write_zip(out, {path.relative_to(folder).as_posix(): path for path in files})
    return out


def _entry_number(root: Path, assignment: Assignment) -> str:
    """The submitter's entry number: whatever in the roster's entry looks like one."""
    metadata = root / "submission_metadata.json"
    try:
        users = json.loads(metadata.read_text("utf-8")).get("users", [])
    except (OSError, ValueError, AttributeError):
        # Gradescope always writes it; a hand-made tree may not. The name alone is lost.
        users = []
    pattern = re.compile(assignment.entry_number)
    for user in users if isinstance(users, list) else []:
        for value in user.values() if isinstance(user, dict) else []:
            for word in re.split(r"[^A-Za-z0-9]+", str(value)):
                if pattern.fullmatch(word.upper()):
                    return word.upper()
    return "submission"
