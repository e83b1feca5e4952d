"""Find out which file plays which role, and hold the tree against the assignment's schema.

Roles are looked for at the top level, or inside the one folder that wraps everything; what lies
beside a folder with all the code is moved into it, for programs run there and see nothing else. A
file that
matches any but the first accepted name is forgiven and named; the schema says what else has to be,
or must not be, in the tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from grader.assignments.validate_tree import describe_tree, violations
from grader.findings import found, listed
from grader.model import Assignment, CheckedLayout, Finding, Role, UnpackedTree

# A zip of a folder of a folder is common; deeper is a path like home/me/course/a2, also seen.
_MAX_WRAPPERS = 6


def check_layout(unpacked: UnpackedTree, assignment: Assignment) -> CheckedLayout:
    """Assign roles and report what is missing, misnamed, doubled or superfluous.

    Moves files of the tree that lie beside the folder of the code. Raises OSError where it cannot.
    """
    paths = [file.path for file in unpacked.files]
    base, findings = _find_base(paths, assignment.roles)
    if base:
        unpacked = _take_in(unpacked, base)
        paths = [file.path for file in unpacked.files]
    inside = [path[len(base) + 1 :] if base else path for path in paths if _is_below(path, base)]
    weights = {spec.role for spec in (assignment.checkpoint, *assignment.experiments) if spec}
    roles: dict[str, str] = {}
    for role in assignment.roles:
        path, noted = _play(role, inside, is_weights=role.id in weights)
        findings += noted
        if path is not None:
            roles[role.id] = path
    document = describe_tree(
        unpacked.root / base, [file for file in unpacked.files if _is_below(file.path, base)], base
    )
    document["roles"] = dict(roles)
    findings += violations(assignment.submission_schema, document)
    return CheckedLayout(unpacked=unpacked, base=base, roles=roles, findings=tuple(findings))


def _is_below(path: str, base: str) -> bool:
    return not base or path.startswith(base + "/")


def _take_in(unpacked: UnpackedTree, base: str) -> UnpackedTree:
    """The tree with what lies beside the folder `base` moved into it; what lies there already,
    in whatever capitals, stays."""
    names = {file.path.casefold() for file in unpacked.files}
    folders = {folder for name in names for folder in _folders_of(name)}
    taken = names | folders
    files = []
    for file in unpacked.files:
        path = f"{base}/{file.path}"
        is_taken = path.casefold() in taken or names & _folders_of(path.casefold())
        if _is_below(file.path, base) or is_taken:
            files.append(file)
            continue
        goal = unpacked.root / path
        _make_folders(unpacked.root, PurePosixPath(path).parent)
        (unpacked.root / file.path).rename(goal)
        files.append(replace(file, path=path))
    return replace(unpacked, files=tuple(files))


def _folders_of(path: str) -> set[str]:
    return {folder.as_posix() for folder in PurePosixPath(path).parents}


def _make_folders(root: Path, folder: PurePosixPath) -> None:
    for parent in reversed([folder, *folder.parents]):
        if not (root / parent).is_dir():
            (root / parent).mkdir()
            (root / parent).chmod(0o755)  # the sandbox's user reads it, under any umask


def _find_base(paths: Sequence[str], roles: Iterable[Role]) -> tuple[str, list[Finding]]:
    """The wrapping folder, when nothing at the top plays a role and one folder holds it all."""
    base = PurePosixPath()
    remaining = [PurePosixPath(path) for path in paths]
    code_roles = [role for role in roles if role.required]
    for _ in range(_MAX_WRAPPERS):
        names = [path.as_posix() for path in remaining]
        if not names or any(matches(role, name) for role in code_roles for name in names):
            break
        tops = {path.parts[0] for path in remaining}
        if len(tops) != 1 or any(len(path.parts) == 1 for path in remaining):
            # Something lies beside the folder: take the folder only if it alone holds the code.
            holders = {
                top
                for top in tops
                if any(
                    matches(role, path.relative_to(top).as_posix())
                    for role in code_roles
                    for path in remaining
                    if path.parts[0] == top and len(path.parts) > 1
                )
            }
            if len(holders) != 1:
                return "", []
            tops = holders
        top = tops.pop()
        base /= top
        remaining = [path.relative_to(top) for path in remaining if path.parts[0] == top]
    if not base.parts:
        return "", []
    if not any(matches(role, path.as_posix()) for role in code_roles for path in remaining):
        return "", []
    beside = [path for path in paths if not _is_below(path, base.as_posix())]
    lies = f"the code lies in the folder {base.as_posix()}/ instead of the zip's top level"
    if beside:
        lies += f"; what lies beside it was moved there: {listed(beside)}"
    return base.as_posix(), [found("layout.wrapping-folder", lies, path=base.as_posix())]


def matches(role: Role, path: str) -> int:
    """1 + the number of the role's first pattern that `path` matches, 0 when none does.

    A pattern's `*` does not cross a `/`; names are compared case-sensitively first and then, as
    the last resort, without case.
    """
    parts = path.split("/")
    for fold in (False, True):
        for number, pattern in enumerate(role.accept, start=1):
            wanted = pattern.split("/")
            if len(wanted) == len(parts) and all(
                fnmatchcase(part.casefold() if fold else part, want.casefold() if fold else want)
                for part, want in zip(parts, wanted, strict=True)
            ):
                return number + (len(role.accept) if fold else 0)
    return 0


def _play(
    role: Role, paths: Sequence[str], *, is_weights: bool
) -> tuple[str | None, list[Finding]]:
    ranked = sorted((rank, path) for path in paths if (rank := matches(role, path)))
    canonical = role.accept[0]
    near = [path for path in paths if path.rsplit("/", 1)[-1].casefold() == canonical.casefold()]
    if not ranked and not canonical.endswith(".py"):
        # Where a script lies decides what it finds beside it; weights are given by their path.
        ranked = [(2 * len(role.accept) + 1, path) for path in sorted(near)]
    if not ranked:
        if not role.required:
            return None, [
                found(
                    "layout.no-checkpoint" if is_weights else "layout.missing-optional",
                    f"the zip holds no {canonical} ({role.title})",
                    path=canonical,
                )
            ]
        seen = f"; {near[0]} was found, but not at the top level" if near else ""
        return None, [
            found(
                "layout.missing-file",
                f"{canonical} ({role.title}) is not in the zip{seen}",
                path=canonical,
            )
        ]
    rank, path = ranked[0]
    findings = []
    equals = [other for other_rank, other in ranked if other_rank == rank]
    if len(equals) > 1:
        findings.append(
            found(
                "layout.several-candidates",
                f"{len(equals)} files could be {role.title}: {_list(equals)}; {path} was taken",
                path=path,
                hint=f"keep one, named {canonical}",
            )
        )
    if rank > 1:
        findings.append(
            found(
                "layout.other-name",
                f"{path} was taken as {role.title}; the assignment asks for {canonical}",
                path=path,
                hint=f"rename it to {canonical}",
            )
        )
    return path, findings


def _list(names: Sequence[str], limit: int = 4) -> str:
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")


def required_roles(roles: Mapping[str, str], templates: Iterable[str]) -> set[str]:
    """The roles among `templates`' fields that nothing plays."""
    return {
        word[1:-1]
        for word in templates
        if word.startswith("{") and word.endswith("}") and word[1:-1] not in roles
    }
