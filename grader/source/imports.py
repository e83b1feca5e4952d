"""The import closure: which local modules a script needs, and which others it asks for.

Follows Python's own rules for `python SCRIPT`: the script's folder comes first on the search
path, a regular package wins over a module and a module over a namespace package, every `__init__`
on the way is run, and a script itself belongs to no package.
"""

from __future__ import annotations

import posixpath
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from grader.source.facts import MAIN_UNIT, Import, ModuleFacts, OpenImport, SearchPath
from grader.source.file_functions import RUNNERS
from grader.source.parse import Unparsed
from grader.source.tree import SourceTree

# Loaded before a script starts: a local file of that name is never imported.
_BEFORE_ANY_SCRIPT = frozenset(sys.builtin_module_names) | {
    "_collections_abc",
    "_sitebuiltins",
    "abc",
    "codecs",
    "encodings",
    "genericpath",
    "io",
    "os",
    "posixpath",
    "site",
    "stat",
    "zipimport",
}
_EXTENSIONS = (".so", ".pyd")
_MAX_MODULES = 400

ReadFile = Callable[[str], ModuleFacts | Unparsed]


class ExternalImport(NamedTuple):
    """An import of something that is not a file of the submission."""

    path: str
    item: Import


class MissingModule(NamedTuple):
    """An import that cannot succeed: `module` would have to be `expected` in the submission."""

    path: str
    line: int
    unit: int
    module: str
    expected: str
    guarded: bool


class BeyondTop(NamedTuple):
    """A relative import in a file that belongs to no package."""

    path: str
    line: int
    unit: int
    text: str
    guarded: bool


class FollowedOpenImport(NamedTuple):
    """A computed import; `candidates` are the modules of its package, if that is known."""

    path: str
    item: OpenImport
    candidates: tuple[str, ...]


class Closure(NamedTuple):
    """What `entry` needs. `modules`: path → facts, `entry` first, then in order of discovery.

    `local_names`: the top-level names that are files or folders of the submission.
    """

    entry: str
    modules: Mapping[str, ModuleFacts | Unparsed]
    external: tuple[ExternalImport, ...]
    missing: tuple[MissingModule, ...]
    beyond_top: tuple[BeyondTop, ...]
    open_imports: tuple[FollowedOpenImport, ...]
    local_names: frozenset[str]

    @property
    def read(self) -> tuple[ModuleFacts, ...]:
        """The modules that could be parsed."""
        return tuple(item for item in self.modules.values() if isinstance(item, ModuleFacts))


def close_imports(
    entry: str, tree: SourceTree, read_file: ReadFile, chosen: Sequence[str] = ()
) -> Closure:
    """The closure of the script `entry`.

    A computed import with a literal package (`f"recipes.{name}"`) may load any module of that
    package; where `chosen` paths lie in the package, only those.
    """
    return _Search(entry, tree, read_file, chosen).run()


def runs_when_imported(facts: ModuleFacts, unit: int) -> bool:
    """Whether a unit can run when the module is imported: not what only its main guard reaches."""
    current: int | None = unit
    while current is not None:
        if current == MAIN_UNIT:
            return False
        current = facts.units[current].parent
    return True


class _Search:
    """One search, from the entry outwards."""

    def __init__(
        self, entry: str, tree: SourceTree, read_file: ReadFile, chosen: Sequence[str]
    ) -> None:
        self.entry = entry
        self.tree = tree
        self.read_file = read_file
        self.chosen = chosen
        self.roots = [posixpath.dirname(entry)]
        self.modules: dict[str, ModuleFacts | Unparsed] = {}
        self.waiting: list[tuple[str, tuple[str, ...]]] = [(entry, ())]
        self.external: list[ExternalImport] = []
        self.missing: list[MissingModule] = []
        self.beyond_top: list[BeyondTop] = []
        self.open_imports: list[FollowedOpenImport] = []
        self.local_names: set[str] = set()
        self.extensions: dict[str, dict[str, str]] = {}  # folder → name → compiled module

    def run(self) -> Closure:
        searched = len(self.roots)
        self._follow_waiting()
        # A folder that a helper puts on the search path holds modules for every file.
        while searched < len(self.roots):
            roots, searched = self.roots[searched:], len(self.roots)
            self.external = [
                item for item in self.external if not self._is_below(roots, item.path, item.item)
            ]
            self._follow_waiting()
        return Closure(
            entry=self.entry,
            modules=self.modules,
            external=tuple(self.external),
            missing=tuple(self.missing),
            beyond_top=tuple(self.beyond_top),
            open_imports=tuple(self.open_imports),
            local_names=frozenset(self.local_names),
        )

    def _follow_waiting(self) -> None:
        while self.waiting and len(self.modules) < _MAX_MODULES:
            path, package = self.waiting.pop(0)
            if path in self.modules:
                continue
            read = self.read_file(path)
            self.modules[path] = read
            if isinstance(read, ModuleFacts):
                self._follow(read, package)

    def _follow(self, facts: ModuleFacts, package: tuple[str, ...]) -> None:
        for folder in facts.search_paths:
            self._add_root(facts.path, folder)
        for item in facts.imports:
            if facts.path != self.entry and not runs_when_imported(facts, item.unit):
                continue
            if item.level:
                self._relative(facts.path, item, package)
            else:
                self._absolute(facts.path, item)
        for open_import in facts.open_imports:
            self._open(facts.path, open_import)
        for use in facts.files:
            if use.call in RUNNERS and use.anchor != "unknown":
                start = posixpath.dirname(facts.path) if use.anchor == "file" else ""
                path = posixpath.normpath(posixpath.join(start, use.path))
                if self.tree.is_file(path):
                    self.waiting.append((path, ()))

    def _add_root(self, path: str, folder: SearchPath) -> None:
        """A folder that a file adds to `sys.path`, relative to the file or to the top."""
        own = posixpath.dirname(path)
        for start in (own,) if folder.anchor == "file" else (own, ""):
            root = posixpath.normpath(posixpath.join(start, folder.path))
            root = "" if root == "." else root
            inside = not root.startswith(("..", "/"))
            if inside and root not in self.roots and self.tree.is_dir(root):
                self.roots.append(root)

    # ------------------------------------------------------------------ kinds of import

    def _absolute(self, path: str, item: Import) -> None:
        if all(item.module.split(".")) and not self._is_below(self.roots, path, item):
            self.external.append(ExternalImport(path, item))

    def _is_below(self, roots: Sequence[str], path: str, item: Import) -> bool:
        """Whether an import finds its module below one of `roots`; its files are queued then."""
        parts = tuple(item.module.split("."))
        if parts[0] in _BEFORE_ANY_SCRIPT:
            return False
        # A folder without __init__.py is only a package where no other folder has the module.
        root = next((root for root in roots if self._file(root, parts[0])), None)
        if root is None:
            below = (root for root in roots if self.tree.is_dir(posixpath.join(root, parts[0])))
            root = next(below, None)
        if root is not None:
            self.local_names.add(parts[0])
            self._take(path, item, root, parts)
        return root is not None

    def _relative(self, path: str, item: Import, package: tuple[str, ...]) -> None:
        keep = len(package) - (item.level - 1)
        if keep < 1:
            text = "." * item.level + item.module
            self.beyond_top.append(BeyondTop(path, item.line, item.unit, text, item.guarded))
            return
        parts = (*package[:keep], *(part for part in item.module.split(".") if part))
        for root in self.roots:
            if self._exists(root, parts[0]):
                self._take(path, item, root, parts)
                return

    def _open(self, path: str, item: OpenImport) -> None:
        candidates: list[str] = []
        parts = tuple(item.package.split(".")) if item.package else ()
        for root in self.roots if parts else ():
            folder = posixpath.join(root, *parts)
            if not self.tree.is_dir(folder):
                continue
            for name in self.tree.names(folder):
                module = posixpath.join(folder, name)
                if name.endswith(".py") and not name.startswith("__") and self.tree.is_file(module):
                    candidates.append(module)
            picked = [module for module in candidates if module in self.chosen]
            candidates = picked or candidates
            for module in candidates:
                stem = posixpath.basename(module).removesuffix(".py")
                self._walk_down(root, (*parts, stem))
            break
        self.open_imports.append(FollowedOpenImport(path, item, tuple(candidates)))

    # ------------------------------------------------------------------ the files behind a name

    def _exists(self, root: str, name: str) -> bool:
        return self._file(root, name) is not None or self.tree.is_dir(posixpath.join(root, name))

    def _file(self, folder: str, name: str) -> str | None:
        """The file that Python runs for `name` in `folder`; None for a namespace package."""
        base = posixpath.join(folder, name)
        for path in (posixpath.join(base, "__init__.py"), f"{base}.py"):
            if self.tree.is_file(path):
                return path
        if folder not in self.extensions:
            self.extensions[folder] = {
                other.partition(".")[0]: posixpath.join(folder, other)
                for other in self.tree.names(folder)
                if other.endswith(_EXTENSIONS)
            }
        return self.extensions[folder].get(name)

    def _take(self, path: str, item: Import, root: str, parts: tuple[str, ...]) -> None:
        """Queue the files of `import parts` and of the submodules among `from … import` names."""
        reached = self._walk_down(root, parts)
        if reached < len(parts):
            self._miss(path, item, root, parts[: reached + 1])
            return
        folder = posixpath.join(root, *parts)
        if not self.tree.is_dir(folder):
            return
        is_namespace = self._file(posixpath.dirname(folder), parts[-1]) is None
        for name in item.names:
            if name == "*":
                continue
            if self._exists(folder, name):
                self._walk_down(root, (*parts, name))
            elif is_namespace:
                self._miss(path, item, root, (*parts, name))

    def _walk_down(self, root: str, parts: tuple[str, ...]) -> int:
        """Queue every file on the way to `parts`; returns how many parts exist."""
        folder = root
        for number, part in enumerate(parts):
            file = self._file(folder, part)
            inner = posixpath.join(folder, part)
            if file is None and not self.tree.is_dir(inner):
                return number
            if file is not None and file.endswith(".py"):
                is_package = posixpath.basename(file) == "__init__.py"
                package = parts[: number + 1] if is_package else parts[:number]
                self.waiting.append((file, package))
                if not is_package and number + 1 < len(parts):
                    return number + 1  # a module has no submodules
            folder = inner
        return len(parts)

    def _miss(self, path: str, item: Import, root: str, parts: tuple[str, ...]) -> None:
        self.missing.append(
            MissingModule(
                path=path,
                line=item.line,
                unit=item.unit,
                module=".".join(parts),
                expected=posixpath.join(root, *parts) + ".py",
                guarded=item.guarded,
            )
        )
