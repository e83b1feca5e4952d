"""Decide which files of a folder go into the zip: the scripts, what they import, the weights, the
data files that the code opens by name, and what the student asks for."""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from grader.errors import UsageError
from grader.findings import listed, quoted
from grader.model import Assignment, PackedFile, Role
from grader.source.rules import parse_source_rules
from grader.source.survey import FileReader, OpenedFile, SurveyedSource, survey_source
from grader.source.tree import SourceTree
from grader.stages.check_layout import matches

# A file that the code opens by name is data of the program, not a data set.
_MAX_OPENED_BYTES = 16 * 1024 * 1024
# Where only the name is known, not the folder: what is small and plainly the program's own.
_MAX_LIKELY_BYTES = 1024 * 1024
# A folder with more files than this is a data set, whatever a script looks for in it.
_MAX_LISTED = 100
_LIKELY_SUFFIXES = (".json", ".txt", ".csv", ".npy", ".npz", ".pkl", ".yaml", ".yml", ".toml")
_JUNK = {"__pycache__", "__MACOSX", ".git", ".venv", "venv", ".ipynb_checkpoints", ".DS_Store"}
_JUNK_PREFIX = "._"


@dataclass(slots=True)
class Plan:
    """`files` go in, `left_out` do not: path below the folder → the file and the reason."""

    files: dict[str, PackedFile] = field(default_factory=dict)
    left_out: dict[str, PackedFile] = field(default_factory=dict)


def plan_files(directory: Path, assignment: Assignment, extras: Sequence[str]) -> Plan:
    """Choose the files of `directory`.

    `extras`: files or folders of `directory` to pack as well; a Python file among them stands for
    the modules that a script loads by a computed name (`recipes/ail721_a2.py`), a file that could
    play a role plays it. Raises UsageError when the folder, or an extra, is not there, when it
    holds none of the assignment's scripts, and when it is open which file is the checkpoint.
    """
    return _Planning(directory, assignment, extras).plan()


class _Planning:
    """One folder on its way to a plan."""

    def __init__(self, directory: Path, assignment: Assignment, extras: Sequence[str]) -> None:
        self.directory = directory
        self.assignment = assignment
        self.tree = SourceTree(directory)
        self.result = Plan()
        self.extras = self._expand(extras)

    def plan(self) -> Plan:
        roles = self._roles()
        scripts = {role: path for role, path in roles.items() if path.endswith(".py")}
        if not scripts:
            wanted = [role.accept[0] for role in self.assignment.roles if role.required]
            raise UsageError(
                f"{quoted(str(self.directory), 300)}: holds none of: {', '.join(wanted)}",
                hint="give the folder in which your scripts lie",
            )
        titles = {role.id: role.title for role in self.assignment.roles}
        for role, path in roles.items():
            self._take(path, titles[role])
        for path in self.extras:
            self._take(path, "asked for")
        rules = parse_source_rules(self.assignment.source.get("source_rules", {}))
        source = survey_source(
            self.directory,
            scripts,
            rules.python,
            chosen=self.extras,
            read_file=FileReader(self.tree, rules.python),
        )
        self._take_modules(source)
        self._take_opened(source, roles)
        for path in self.result.files:
            self.result.left_out.pop(path, None)
        return self.result

    def _take(self, path: str, why: str) -> None:
        self.result.files.setdefault(path, PackedFile(path, self._size(path), why))

    def _leave(self, path: str, size_bytes: int, why: str) -> None:
        self.result.left_out.setdefault(path, PackedFile(path, size_bytes, why))

    def _size(self, path: str) -> int:
        try:
            return (self.directory / path).stat().st_size
        except OSError as error:
            raise UsageError(
                f"{quoted(path, 300)}: cannot be read: {error.strerror or error}"
            ) from error

    # ------------------------------------------------------------------ extras

    def _expand(self, extras: Sequence[str]) -> tuple[str, ...]:
        """The files meant by `extras`, sorted, relative to the folder."""
        files: set[str] = set()
        for extra in extras:
            path = PurePosixPath(Path(extra).as_posix())
            if path.is_absolute() or ".." in path.parts:
                raise UsageError(
                    f"--extra {quoted(extra, 300)}: lies outside the folder",
                    hint="give a path relative to the folder that is packed",
                )
            if self.tree.is_file(str(path)):
                files.add(str(path))
            elif (self.directory / path).is_dir():
                files.update(self._below(str(path)))
            else:
                raise UsageError(
                    f"--extra {quoted(extra, 300)}: there is no such file or folder in "
                    f"{quoted(str(self.directory), 300)}",
                    hint="the name has to be spelled exactly as the file",
                )
        return tuple(sorted(files))

    def _below(self, folder: str) -> Iterator[str]:
        for name in self.tree.names("" if folder == "." else folder):
            path = posixpath.normpath(posixpath.join(folder, name))
            if _is_junk(name) or (self.directory / path).is_symlink():
                continue
            if self.tree.is_file(path):
                yield path
            else:
                yield from self._below(path)

    # ------------------------------------------------------------------ roles

    def _roles(self) -> dict[str, str]:
        """Role → the file that plays it, as the course will find it in the zip."""
        depth = max(
            (pattern.count("/") for role in self.assignment.roles for pattern in role.accept),
            default=0,
        )
        paths = sorted(self._near("", depth))
        roles = {}
        for role in self.assignment.roles:
            path = self._player(role, paths)
            if path is not None:
                roles[role.id] = path
        return roles

    def _near(self, folder: str, depth: int) -> Iterator[str]:
        """The files no deeper than the roles' patterns reach."""
        for name in self.tree.names(folder):
            path = posixpath.join(folder, name)
            if self.tree.is_file(path):
                yield path
            elif depth and not _is_junk(name) and not name.startswith("."):
                yield from self._near(path, depth - 1)

    def _player(self, role: Role, paths: Sequence[str]) -> str | None:
        asked = [path for path in self.extras if matches(role, path)]
        ranked = sorted((rank, path) for path in asked or paths if (rank := matches(role, path)))
        if not ranked:
            return None
        best = [path for rank, path in ranked if rank == ranked[0][0]]
        if len(best) > 1 and not asked:
            raise UsageError(
                f"{len(best)} files could be {role.title}: {listed(best, 6)}",
                hint=f"name one {role.accept[0]}, or choose it with --extra {best[0]}",
            )
        return best[0]

    # ------------------------------------------------------------------ code and its data

    def _take_modules(self, source: SurveyedSource) -> None:
        for script in source.scripts:
            for path in script.closure.modules:
                self._take(path, f"imported by {script.path}")

    def _take_opened(self, source: SurveyedSource, roles: Mapping[str, str]) -> None:
        produced = {
            posixpath.basename(output.path)
            for case in self.assignment.cases
            for output in case.outputs
        }
        folders = sorted({posixpath.dirname(path) for path in roles.values()} | {""})
        for script in source.scripts:
            # What a script has written itself by then need not be there before.
            made = produced | {
                posixpath.basename(opened.path)
                for opened in script.opened
                if opened.use.writes and opened.certain and opened.reached
            }
            for opened in script.opened:
                if not opened.use.writes and posixpath.basename(opened.path) not in made:
                    why = f"opened by {opened.module}:{opened.use.line}"
                    if opened.use.lists:
                        if opened.certain:
                            self._consider_folder(opened)
                    elif opened.certain:
                        self._consider(opened.path, _MAX_OPENED_BYTES, why)
                    elif opened.path.endswith(_LIKELY_SUFFIXES):
                        self._consider_in(folders, opened.path, why)
            for facts in script.closure.read:
                for named in facts.named_files:
                    if named.name not in made:
                        why = f"named in {facts.path}:{named.line}"
                        self._consider_in(folders, named.name, why)

    def _consider_folder(self, opened: OpenedFile) -> None:
        """Take what a program looks for in a folder of its own, unless it may be a data set."""
        folder = opened.path
        everything = opened.use.lists == "*"
        if folder.startswith("../") or not self.tree.is_dir("" if folder == "." else folder):
            return
        if everything and folder == ".":
            return  # what else lies there is not asked for by name
        pattern = opened.use.lists.removeprefix("**/")
        deep = everything or pattern != opened.use.lists
        below = self._below(folder) if deep else self._directly_in(folder)
        paths = [path for path in below if fnmatch.fnmatchcase(posixpath.basename(path), pattern)]
        size_bytes = sum(self._size(path) for path in paths)
        why = f"listed by {opened.module}:{opened.use.line}"
        if len(paths) <= _MAX_LISTED and size_bytes <= _MAX_OPENED_BYTES:
            for path in paths:
                self._take(path, why)
        elif not all(path in self.result.files for path in paths):
            mib = size_bytes / (1024 * 1024)
            what = f"{len(paths)} files, {mib:.0f} MiB"
            self._leave(
                f"{folder}/", size_bytes, f"{why}, but {what}: --extra {folder} takes it along"
            )

    def _directly_in(self, folder: str) -> Iterator[str]:
        for name in self.tree.names("" if folder == "." else folder):
            path = posixpath.normpath(posixpath.join(folder, name))
            if not _is_junk(name) and self.tree.is_file(path):
                yield path

    def _consider_in(self, folders: Sequence[str], name: str, why: str) -> None:
        """A small file of that name beside the scripts or the checkpoint."""
        for folder in folders:
            self._consider(posixpath.join(folder, name), _MAX_LIKELY_BYTES, why)

    def _consider(self, path: str, limit_bytes: int, why: str) -> None:
        """Take a file that the code calls by its name, if it is there."""
        if path.startswith("../") or path in self.result.files or not self.tree.is_file(path):
            return
        size_bytes = self._size(path)
        if size_bytes <= limit_bytes:
            self._take(path, why)
        else:
            mib = size_bytes / (1024 * 1024)
            self._leave(path, size_bytes, f"{why}, but {mib:.0f} MiB: --extra takes it along")


def _is_junk(name: str) -> bool:
    return name in _JUNK or name.startswith(_JUNK_PREFIX)
