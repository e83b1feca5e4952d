"""Find out which file plays which role, and hold the tree against the assignment's schema.

Roles are looked for at the top level, or inside the one folder that wraps everything. A file that
matches any but the first accepted name is forgiven and named; the schema says what else has to be,
or must not be, in the tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from grader.assignments.validate_tree import describe_tree, violations
from grader.findings import found
from grader.model import Assignment, CheckedLayout, Finding, Role, UnpackedTree

# A zip of a folder of a folder is common; deeper is a path like home/me/course/a2, also seen.
_MAX_WRAPPERS = 6


def check_layout(unpacked: UnpackedTree, assignment: Assignment) -> CheckedLayout:
    """Assign roles and report what is missing, misnamed, doubled or superfluous."""
    paths = [file.path for file in unpacked.files]
    base, findings = _find_base(paths, assignment.roles)
    inside = [path[len(base) + 1 :] if base else path for path in paths if _is_below(path, base)]
    roles: dict[str, str] = {}
    for role in assignment.roles:
        path, noted = _play(role, inside)
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
    return base.as_posix(), [
        found(
            "layout.wrapping-folder",
            f"everything lies in the folder {base.as_posix()}/ instead of the zip's top level",
            path=base.as_posix(),
        )
    ]


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


def _play(role: Role, paths: Sequence[str]) -> tuple[str | None, list[Finding]]:
    ranked = sorted((rank, path) for path in paths if (rank := matches(role, path)))
    canonical = role.accept[0]
    if not ranked:
        if not role.required:
            return None, [
                found(
                    f"layout.no-{role.id}"
                    if role.id == "checkpoint"
                    else "layout.missing-optional",
                    f"the zip holds no {canonical} ({role.title})",
                    path=canonical,
                )
            ]
        near = [
            path for path in paths if path.rsplit("/", 1)[-1].casefold() == canonical.casefold()
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
