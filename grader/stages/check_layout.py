"""Find out which file plays which role, and hold the tree against the assignment's schema.

Roles are looked for at the top level, or inside the folder that holds the code; what lies beside
that folder is moved into it, for programs run there and see nothing else. A file that matches any
but the first accepted name is forgiven and named; the schema says what else has to be, or must not
be, in the tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from grader.assignments.validate_tree import describe_tree, violations
from grader.findings import found, listed
from grader.model import Assignment, CheckedLayout, Finding, Role, UnpackedTree

# A zip of a folder of a folder is common; deeper is a path like home/me/course/a2, also seen.
_MAX_WRAPPERS = 6
# Nothing below them is the student's own.
_INSTALLED = {"site-packages", "dist-packages", "node_modules"}
_WILD = re.compile(r"[*?\[]")
# `model_best.pth.tar` is a checkpoint, too.
_WEIGHTS = re.compile(r"\.(pth|pt|th|ckpt|safetensors|h5|onnx)(\.(tar|gz|zip))?$", re.IGNORECASE)
# The ranks of `matches` up to this one are a role's first name, in whatever capitals.
_LAST_OF_FIRST_NAME = 2


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
    trained = {spec.role for spec in (assignment.checkpoint, *assignment.experiments) if spec}
    weights = [role for role in assignment.roles if role.id in trained]
    roles: dict[str, str] = {}
    for role in assignment.roles:
        path, noted = _play(role, inside, weights)
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
    """The tree with what lies beside the folder `base` moved into it, as if the folder that holds
    both were the zip's top; what lies there already, in whatever capitals, stays."""
    names = {file.path.casefold() for file in unpacked.files if _is_below(file.path, base)}
    folders = {folder for name in names for folder in _folders_of(name)}
    moved: dict[str, str] = {}
    beside = [file.path for file in unpacked.files if not _is_below(file.path, base)]
    # What lies nearest to the code comes first.
    for path in sorted(beside, key=lambda path: (-len(_shared(path, base)), path)):
        goal = "/".join([base, *path.split("/")[len(_shared(path, base)) :]])
        name = goal.casefold()
        if name in names or name in folders or names & _folders_of(name):
            continue
        names.add(name)
        folders |= _folders_of(name)
        _make_folders(unpacked.root, PurePosixPath(goal).parent)
        (unpacked.root / path).rename(unpacked.root / goal)
        moved[path] = goal
    return replace(
        unpacked,
        files=tuple(replace(file, path=moved.get(file.path, file.path)) for file in unpacked.files),
    )


def _shared(path: str, base: str) -> list[str]:
    """The folders that hold both the file `path` and the folder `base`."""
    pairs = zip(path.split("/")[:-1], base.split("/"), strict=False)
    return [folder for folder, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)]


def _folders_of(path: str) -> set[str]:
    return {folder.as_posix() for folder in PurePosixPath(path).parents}


def _make_folders(root: Path, folder: PurePosixPath) -> None:
    for parent in reversed([folder, *folder.parents]):
        if not (root / parent).is_dir():
            (root / parent).mkdir()
            (root / parent).chmod(0o755)  # the sandbox's user reads it, under any umask


def _find_base(paths: Sequence[str], roles: Iterable[Role]) -> tuple[str, list[Finding]]:
    """The folder that holds the code, where that is not the zip's top level."""
    base = _folder_of_the_code(paths, [role for role in roles if role.required])
    if not base:
        return "", []
    beside = [path for path in paths if not _is_below(path, base)]
    lies = f"the code lies in the folder {base}/ instead of the zip's top level"
    if beside:
        lies += f"; what lies beside it was moved there: {listed(beside)}"
    return base, [found("layout.wrapping-folder", lies, path=base)]


def _folder_of_the_code(paths: Sequence[str], roles: Sequence[Role]) -> str:
    """The folder where most of `roles` are played; the outer one of two that are equal.

    Beside each other, first names count before others, then the folder that lies higher; where
    even that is equal, nobody can say which one is meant, and the top level ("") is taken.
    """
    cast = _cast_by_folder(paths, roles)
    able = [
        folder
        for folder in cast
        if not any(
            _is_below(folder, outer) and _keeps_its_place(cast[outer], cast[folder], folder)
            for outer in cast
        )
    ]
    most = max((len(cast[folder]) for folder in able), default=0)
    best = [folder for folder in able if len(cast[folder]) == most]
    best = [
        folder
        for folder in best
        if not any(other != folder and _is_below(folder, other) for other in best)
    ]

    def order(folder: str) -> tuple[int, int]:
        first_names = sum(player.is_first_name for player in cast[folder].values())
        return -first_names, len(PurePosixPath(folder).parts)

    best.sort(key=order)
    if not best or (len(best) > 1 and order(best[0]) == order(best[1])):
        return ""
    return best[0]


class _Player(NamedTuple):
    """The file that plays a role best if its folder is taken for the top level."""

    rank: int
    path: str

    @property
    def is_first_name(self) -> bool:
        return self.rank <= _LAST_OF_FIRST_NAME


def _cast_by_folder(paths: Iterable[str], roles: Iterable[Role]) -> dict[str, dict[str, _Player]]:
    """Folder ("" for the top level) → role → the file that plays it, where any is played.

    Only patterns that name their folder count: `*/resnet.py` is played from every outer folder.
    """
    named = []
    for role in roles:
        accept = tuple(one for one in role.accept if not _WILD.search(one.rpartition("/")[0]))
        named.append((replace(role, accept=accept), {one.count("/") + 1 for one in accept}))
    cast: dict[str, dict[str, _Player]] = {}
    for path in paths:
        parts = path.split("/")
        if not _INSTALLED.isdisjoint(parts):
            continue
        for role, lengths in named:
            for length in lengths:
                outer, inner = parts[:-length], "/".join(parts[-length:])
                if length > len(parts) or len(outer) > _MAX_WRAPPERS:
                    continue
                rank = matches(role, inner)
                if rank:
                    players = cast.setdefault("/".join(outer), {})
                    player = _Player(rank, path)
                    players[role.id] = min(player, players.get(role.id, player))
    return cast


def _keeps_its_place(
    outer: Mapping[str, _Player], inner: Mapping[str, _Player], folder: str
) -> bool:
    """Whether `outer` has, outside of `folder` and under its first name, what `inner` has too.

    A copy of somebody's repository may hold a train.py and an evaluate.py: it never takes the
    place of what lies further out and is called as the assignment asks.
    """
    return any(
        role in inner and player.is_first_name and not _is_below(player.path, folder)
        for role, player in outer.items()
    )


def matches(role: Role, path: str) -> int:
    """The rank of `path` by the role's patterns, from 1 for the first one; 0 when none fits.

    A pattern's `*` does not cross a `/`. Each pattern is tried with the name's capitals, then
    without them, and only then the next one: `resnet_BN.pth` is `*_bn.pth` sooner than `*.pth`.
    """
    parts = path.split("/")
    folded = [part.casefold() for part in parts]
    for number, pattern in enumerate(role.accept):
        wanted = pattern.split("/")
        if len(wanted) != len(parts):
            continue
        if _are_like(parts, wanted):
            return 2 * number + 1
        if _are_like(folded, [want.casefold() for want in wanted]):
            return 2 * number + _LAST_OF_FIRST_NAME
    return 0


def _are_like(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    return all(map(fnmatchcase, parts, patterns))


def _play(
    role: Role, paths: Sequence[str], weights: Sequence[Role]
) -> tuple[str | None, list[Finding]]:
    """What plays `role`, and what has to be said of it; `weights`: the roles that weights play."""
    ranked = sorted((rank, path) for path in paths if (rank := matches(role, path)))
    canonical = role.accept[0]
    near = [path for path in paths if path.rsplit("/", 1)[-1].casefold() == canonical.casefold()]
    if not ranked and not canonical.endswith(".py"):
        # Where a script lies decides what it finds beside it; weights are given by their path.
        ranked = [(2 * len(role.accept) + 1, path) for path in sorted(near)]
    if not ranked:
        if role.required:
            return None, [_missing_file(role, near)]
        if role in weights:
            return None, [_no_checkpoint(role, _unaccepted_weights(paths, weights))]
        return None, [
            found(
                "layout.missing-optional",
                f"the zip holds no {canonical} ({role.title})",
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


def _missing_file(role: Role, near: Sequence[str]) -> Finding:
    canonical = role.accept[0]
    seen = f"; {near[0]} was found, but not at the top level" if near else ""
    return found(
        "layout.missing-file", f"{canonical} ({role.title}) is not in the zip{seen}", path=canonical
    )


def _no_checkpoint(role: Role, others: Sequence[str]) -> Finding:
    canonical = role.accept[0]
    lacks = f"the zip holds no {canonical} ({role.title})"
    if not others:
        return found("layout.no-checkpoint", lacks, path=canonical)
    return found(
        "layout.no-checkpoint",
        f"{lacks}; {listed(others)} {'is' if len(others) == 1 else 'are'} in it, but weights are "
        "not looked for there under such a name",
        path=canonical,
        hint=f"if these are your trained weights, write them with torch.save as {canonical}",
        evidence={"unaccepted": list(others)},
    )


def _unaccepted_weights(paths: Iterable[str], weights: Sequence[Role]) -> list[str]:
    """The files that hold weights, by their suffix, and play no role of weights."""
    return [
        path
        for path in paths
        if _WEIGHTS.search(path) and not any(matches(role, path) for role in weights)
    ]


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
