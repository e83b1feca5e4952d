"""Read the student's Python without running it, and say what the course's machine would object to.

The assignment's `[source_rules]` (see `grader.source.rules`) say what is allowed; the rest is what
breaks a program that worked on a laptop: files and modules left out of the zip, absolute paths, a
GPU taken for granted. Code that the scripts cannot reach is not held against a student, except
that what is forbidden is named wherever it stands.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from grader.findings import found, quoted
from grader.model import Assignment, CheckedLayout, Finding
from grader.source.absent import explain_absent_file, explain_absent_module
from grader.source.facts import AbsolutePath, ModuleFacts
from grader.source.imports import ExternalImport, runs_when_imported
from grader.source.known_packages import KNOWN_PACKAGES
from grader.source.parse import MAX_SOURCE_BYTES, Unparsed, refuse_as_script
from grader.source.rules import Rule, SourceRules, parse_source_rules
from grader.source.survey import (
    FileReader,
    OpenedFile,
    SurveyedScript,
    SurveyedSource,
    files_of,
    scripts_of,
    survey_source,
)
from grader.source.tree import SourceTree
from grader.source.variants import may_be_given

_CODES = {"network": "source.network", "subprocess": "source.subprocess"}
_MOST_LINES = 6
_MOST_OF_A_CODE = 40


def check_source(layout: CheckedLayout, assignment: Assignment) -> tuple[Finding, ...]:
    """What the source of `layout` says against the rules and the zip's own content.

    Findings come in the order of path, line and code.
    """
    rules = parse_source_rules(assignment.source.get("source_rules", {}))
    reader = FileReader(SourceTree(layout.top), rules.python)
    source = survey_source(layout.top, scripts_of(layout), rules.python, read_file=reader)
    return _Check(layout, assignment, rules, source, reader).run()


class _Key(NamedTuple):
    """What is one finding, on however many lines."""

    code: str
    path: str
    subject: str


@dataclass(slots=True)
class _Draft:
    message: str
    hint: str | None
    lines: list[int] = field(default_factory=list)


class _Check:
    """One submission on its way through the rules."""

    def __init__(
        self,
        layout: CheckedLayout,
        assignment: Assignment,
        rules: SourceRules,
        source: SurveyedSource,
        reader: FileReader,
    ) -> None:
        self.layout = layout
        self.assignment = assignment
        self.rules = rules
        self.source = source
        self.reader = reader
        self.drafts: dict[_Key, _Draft] = {}
        self.files = files_of(layout)
        # (path, line): what is not among them may be passed over in the course's run
        self.sure_imports = {
            (module.path, item.line)
            for module in source.modules.values()
            if isinstance(module, ModuleFacts)
            for item in module.imports
            if not item.conditional
        }
        self.names = {posixpath.basename(path) for path in self.files}

    def run(self) -> tuple[Finding, ...]:
        for module in self.source.modules.values():
            if isinstance(module, Unparsed):
                self._unparsed(module, needed=True)
        for script in self.source.scripts:
            self._encoding(script)
            self._script(script)
        for path in sorted(self.files - set(self.source.modules)):
            if path.endswith(".py"):
                self._unused(path)
        return tuple(self._findings())

    def _add(
        self,
        code: str,
        path: str,
        subject: str,
        message: str,
        line: int | None = None,
        hint: str | None = None,
    ) -> None:
        key = _Key(code, path, subject)
        if key not in self.drafts and self._is_full(code):
            return
        draft = self.drafts.setdefault(key, _Draft(message, hint))
        if line is not None and line not in draft.lines:
            draft.lines.append(line)

    def _is_full(self, code: str) -> bool:
        """Whether there is enough of `code`: a page of the same helps nobody."""
        return sum(key.code == code for key in self.drafts) >= _MOST_OF_A_CODE

    def _findings(self) -> Iterator[Finding]:
        ordered = sorted(
            self.drafts.items(),
            key=lambda item: (item[0].path, min(item[1].lines, default=0), item[0]),
        )
        for key, draft in ordered:
            lines = sorted(draft.lines)
            more = ""
            if len(lines) > 1:
                others = ", ".join(map(str, lines[1:_MOST_LINES]))
                rest = "" if len(lines) <= _MOST_LINES else f" and {len(lines) - _MOST_LINES} more"
                more = f" (also line{'s' if len(lines) > 2 else ''} {others}{rest})"
            yield found(
                key.code,
                draft.message + more,
                path=key.path,
                line=lines[0] if lines else None,
                hint=draft.hint,
                evidence={"lines": lines} if len(lines) > 1 else None,
            )

    # ------------------------------------------------------------------ one script

    def _script(self, script: SurveyedScript) -> None:
        closure = script.closure
        for facts in closure.read:
            self._forbidden(facts, script)
            self._machine(facts, script)
        for external in closure.external:
            if (external.path, external.item.unit) in script.reached:
                self._external(external, script)
        for missing in closure.missing:
            if not missing.guarded and (missing.path, missing.unit) in script.reached:
                self._missing(missing.path, missing.line, missing.module, missing.expected, script)
        for beyond in closure.beyond_top:
            if not beyond.guarded and (beyond.path, beyond.unit) in script.reached:
                self._add(
                    "source.relative-import",
                    beyond.path,
                    beyond.text,
                    f"{beyond.path} imports {quoted(beyond.text)} relatively, but belongs to no "
                    f"package when {script.path} is run",
                    beyond.line,
                )
        for opened in closure.open_imports:
            if not opened.candidates:
                self._add(
                    "source.dynamic-import",
                    opened.path,
                    opened.item.package,
                    f"{opened.path} imports a module whose name is only known when it runs; "
                    "what it imports was not checked",
                    opened.item.line,
                )
        self._opened(script)

    def _unparsed(self, module: Unparsed, *, needed: bool) -> None:
        code = "source.syntax" if module.is_syntax else "source.not-read"
        if not needed:
            code = "source.syntax-unused"
        version = ".".join(map(str, self.rules.python))
        said = f"not Python {version}: " if module.is_syntax else ""
        self._add(
            code,
            module.path,
            module.reason,
            f"{module.path}: {said}{quoted(module.reason, 200)}",
            module.line,
            module.hint or None,
        )

    def _encoding(self, script: SurveyedScript) -> None:
        """What Python refuses of a file that it runs, and not of one that it imports."""
        if isinstance(script.closure.modules.get(script.path), Unparsed):
            return
        data = self.reader.tree.read(script.path, MAX_SOURCE_BYTES)
        refused = refuse_as_script(data, script.path)
        if refused is not None:
            self._unparsed(refused, needed=True)

    # ------------------------------------------------------------------ rules

    def _forbidden(self, facts: ModuleFacts, script: SurveyedScript | None) -> None:
        """Forbidden imports, uses and calls of one file; `script` None: nothing needs the file."""
        local = script.closure.local_names if script else frozenset[str]()
        needed_by = self._needed_by(facts.path, script)
        imported: set[str] = set()

        def runs(unit: int) -> bool:
            if script is None:
                return False
            return facts.path == script.path or runs_when_imported(facts, unit)

        def report(rule: Rule, what: str, line: int, unit: int, code: str) -> None:
            why = f": {rule.why}" if rule.why else ""
            said = {
                "network": "which needs a network, and there is none",
                "subprocess": "which starts another program, and that is forbidden",
            }.get(rule.kind, "which this assignment forbids")
            code = _CODES.get(rule.kind, code)
            tail = needed_by
            if not runs(unit):
                code, tail = "source.forbidden-unused", " (in code that no script runs)"
            self._add(code, facts.path, rule.name, f"{facts.path} {what}, {said}{why}{tail}", line)

        for item in facts.imports:
            if item.level or item.module.partition(".")[0] in local:
                continue
            for module in _imported_names(item.module, item.names):
                rule = self.rules.forbidding(module)
                if rule is not None:
                    imported.add(rule.name)
                    report(
                        rule,
                        f"imports {quoted(module)}",
                        item.line,
                        item.unit,
                        "source.forbidden-import",
                    )
        for use in facts.uses:
            if use.name.partition(".")[0] in local:
                continue
            rule = self.rules.forbidding_call(use.name) if use.called else None
            if rule is not None:
                name = use.name.removeprefix("builtins.")
                report(rule, f"calls {quoted(name)}()", use.line, use.unit, "source.forbidden-call")
                continue
            rule = self.rules.forbidding(use.name)
            if rule is not None and rule.name not in imported:
                report(
                    rule, f"uses {quoted(use.name)}", use.line, use.unit, "source.forbidden-import"
                )
        if script is not None and not self.rules.pretrained_weights:
            for pretrained in facts.pretrained:
                if any(name.partition(".")[0] in local for name in pretrained.names):
                    continue
                self._add(
                    "source.pretrained",
                    facts.path,
                    pretrained.text,
                    f"{facts.path} asks for weights that were trained elsewhere "
                    f"({quoted(pretrained.text)}); the network has to be trained from scratch",
                    pretrained.line,
                )

    def _needed_by(self, path: str, script: SurveyedScript | None) -> str:
        if script is None or path in {other.path for other in self.source.scripts}:
            return ""
        scripts = [other.path for other in self.source.scripts if path in other.closure.modules]
        return f" ({' and '.join(scripts)} need{'s' if len(scripts) == 1 else ''} this file)"

    def _external(self, external: ExternalImport, script: SurveyedScript) -> None:
        item, path = external.item, external.path
        if item.guarded:
            return
        for module in _imported_names(item.module, item.names):
            if self.rules.allows(module) or self.rules.forbidding(module) is not None:
                continue
            top = module.partition(".")[0]
            if top in KNOWN_PACKAGES or self.rules.allows(top):
                self._add(
                    "source.unknown-import",
                    path,
                    module,
                    f"{path} imports {quoted(module)}, which is not among the libraries of this "
                    "assignment",
                    item.line,
                )
            else:
                self._missing(path, item.line, item.module, f"{top}.py", script)

    def _missing(
        self, path: str, line: int, module: str, expected: str, script: SurveyedScript
    ) -> None:
        code, where = "source.missing-local-module", ""
        if (path, line) not in self.sure_imports:
            code, where = "source.missing-conditional-module", " under a condition"
        if self._is_full(code):
            return
        said, hint = explain_absent_module(expected, self.files, script.path)
        if not said and "." in module:
            said = f"; {expected} is not in the zip"
        elif not said:
            said = (
                f"; it is neither a file of the zip ({expected}) nor one of the libraries of this "
                "assignment"
            )
        self._add(
            code,
            path,
            module.partition(".")[0] if "." not in module else module,
            f"{path} imports {quoted(module)}{where}{said}",
            line,
            hint,
        )

    # ------------------------------------------------------------------ the author's machine

    def _machine(self, facts: ModuleFacts, script: SurveyedScript) -> None:
        def may_run(unit: int) -> bool:
            return (facts.path, unit) in script.reached

        for absolute in facts.absolute_paths:
            if may_run(absolute.unit) and self._is_taken(absolute, facts, script):
                where = _as_default(absolute)
                self._add(
                    "source.absolute-path",
                    facts.path,
                    absolute.text + where,
                    f"{facts.path} names {quoted(absolute.text)}, a place on one machine only"
                    + where,
                    absolute.line,
                )
        for cuda in facts.cuda:
            if may_run(cuda.unit) and not self._may_be_given(cuda.flags, script):
                self._add(
                    "source.hardcoded-cuda",
                    facts.path,
                    "cuda",
                    f"{facts.path} takes a GPU for granted: {quoted(cuda.text)}",
                    cuda.line,
                )
        if facts.path != script.path:
            for argv in facts.argv_at_import:
                self._add(
                    "source.argv-at-import",
                    facts.path,
                    "argv",
                    f"{script.path} imports {facts.path}, which reads the command line "
                    f"({argv.text}) while it is being imported",
                    argv.line,
                )

    def _is_taken(self, path: AbsolutePath, facts: ModuleFacts, script: SurveyedScript) -> bool:
        """Whether a path that is a default is what the course's run takes."""
        if path.parameter is not None:
            return script.leaves_out(path.parameter)
        if not path.flags:
            return True
        is_read = any((facts.path, unit) in script.reached for unit in path.read_in)
        return is_read and not self._may_be_given(path.flags, script)

    def _may_be_given(self, flags: tuple[str, ...], script: SurveyedScript) -> bool:
        """Whether the course gives the option; a script without a case is run by hand."""
        if not flags:
            return False
        templates = [
            template
            for case in self.assignment.cases
            if f"{{{script.role}}}" in case.argv
            for template in (case.argv, *case.variants)
        ]
        return not templates or may_be_given(flags, templates)

    # ------------------------------------------------------------------ files

    def _opened(self, script: SurveyedScript) -> None:
        asked = {path for facts in script.closure.read for path in facts.asked_for}
        produced = {
            posixpath.basename(output.path)
            for case in self.assignment.cases
            for output in case.outputs
        }
        for opened in script.opened:
            is_expected = (
                opened.use.writes
                or opened.use.guarded
                or not opened.reached
                or opened.use.path in asked
                or script.written.hold(opened.path)
                or (opened.use.lists and script.written.may_make(opened.path))
                or posixpath.basename(opened.path) in produced
                or self._is_there(opened)
                or self._is_absent_checkpoint(opened.path)
            )
            code = "" if is_expected else self._missing_code(opened, script)
            if code and not self._is_full(code):
                self._opens_missing(opened, script, code)

    def _is_there(self, opened: OpenedFile) -> bool:
        if opened.use.lists:
            return opened.path == "." or self.source.tree.is_dir(opened.path)
        if opened.use.anchor == "unknown":
            return posixpath.basename(opened.path) in self.names
        return opened.path in self.files

    def _missing_code(self, opened: OpenedFile, script: SurveyedScript) -> str:
        """How sure it is that the program lacks a file that is not in the zip."""
        if opened.certain:
            is_doubtful = opened.use.lists or script.written.may_hold(opened.path)
            return "source.may-lack-file" if is_doubtful else "source.opens-missing-file"
        # A folder of the command line may hold anything, but hardly what another script has
        # written: class names beside the checkpoint, say.
        is_file = opened.use.anchor == "unknown" and not opened.use.default and not opened.use.lists
        if is_file and self.source.writers(posixpath.basename(opened.path), script.path):
            return "source.may-lack-file"
        return ""

    def _is_absent_checkpoint(self, path: str) -> bool:
        """A checkpoint that a zip without one cannot hold; the layout says so already."""
        spec = self.assignment.checkpoint
        return (
            spec is not None
            and spec.role not in self.layout.roles
            and path.endswith((".pth", ".pt", ".ckpt", ".safetensors", ".bin"))
        )

    def _opens_missing(self, opened: OpenedFile, script: SurveyedScript, code: str) -> None:
        name = posixpath.basename(opened.path)
        who = opened.module
        if opened.module != script.path:
            who = f"{opened.module} (which {script.path} imports)"
        verb = "lists the folder" if opened.use.lists else "opens"
        said = f"{who} {verb} {quoted(opened.path)}, which is not in the zip"
        writers = self.source.writers(name, script.path)
        absent = explain_absent_file(opened.path, self.files, writers, script.path)
        self._add(
            code,
            opened.module,
            opened.path,
            said + absent.said,
            opened.use.line,
            absent.hint,
        )

    # ------------------------------------------------------------------ other files

    def _unused(self, path: str) -> None:
        module = self.reader(path)
        if isinstance(module, Unparsed):
            self._unparsed(module, needed=False)
        else:
            self._forbidden(module, None)


def _as_default(path: AbsolutePath) -> str:
    if path.parameter is not None:
        return f" (the default of {quoted(path.parameter.name)})"
    return f" (the default of {quoted(path.flags[0])})" if path.flags else ""


def _imported_names(module: str, names: Iterable[str]) -> list[str]:
    """What `from module import names` imports: the names where they may be modules."""
    inner = [f"{module}.{name}" for name in names if name != "*" and not name.startswith("__")]
    return inner or [module]
