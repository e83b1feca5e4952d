"""How platforms lay out a download: a folder → what arrived, and what its names say.

- Moodle, "download all submissions": `Full Name_<id>_assignsubmission_file/<file>` (before 4.1 with
  a trailing `_`), or flat `Full Name_<id>_assignsubmission_file_<file>`; `Participant_<id>` under
  blind marking; `<group>-Full Name_<id>` or `<group>_<id>` for teams. Underscores are blanks.
- Gradescope's bulk export: `submission_metadata.yml`, and a folder a submission named as its keys.
- Canvas: `<name>[_LATE]_<user id>_<attachment id>_<file>`; a file that was handed in again is
  `<file>-1`.
  In both flat kinds a person's other files are left out where that person has an archive.
- Anything else: archives in the folder, or one folder a person.

The kinds may be mixed: each thing in the folder is looked at by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from grader.errors import UsageError
from grader.findings import quoted
from grader.readers.own_output import is_written_by_grader

METADATA = "submission_metadata.yml"

_MOODLE = re.compile(r"(?P<name>.+)_(?P<id>\d+)_assignsubmission_[a-z]+_?")
_MOODLE_FLAT = re.compile(
    r"(?P<prefix>(?P<name>.+?)_(?P<id>\d+)_assignsubmission_[a-z]+_)(?P<file>.+)"
)
_CANVAS = re.compile(
    r"(?P<name>[^_]+)(?P<late>_late)?_(?P<user>\d+)_(?P<file_id>\d+)_(?P<file>.+)", re.IGNORECASE
)
_CANVAS_AGAIN = re.compile(r"-\d+(?=\.[A-Za-z0-9]+$)")
_GRADESCOPE = re.compile(r"submission_(\d+)")
_ARCHIVES = (".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zipx")
_JUNK_NAMES = {"__MACOSX", "Thumbs.db", "desktop.ini"}
_FILES_PLUGIN = "_assignsubmission_file"


@dataclass(frozen=True, slots=True)
class Member:
    """One of the people who share a submission."""

    name: str | None = None
    email: str | None = None
    entry_number: str | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """One archive, or one folder of loose files, as a platform or a person laid it there.

    `path` is the archive, or the folder when `loose`. `members` is empty where nothing but the file
    names anybody. `marked_late`: the platform says so, but not by how much.
    """

    path: Path
    file_name: str
    loose: bool = False
    members: tuple[Member, ...] = ()
    submitted_at: datetime | None = None
    marked_late: bool = False
    platform_ids: Mapping[str, str] = field(default_factory=dict)


def read_layout(folder: Path) -> tuple[Arrival, ...]:
    """Everything that was handed in, sorted by path. Links are not followed, and what the grader
    itself has written into the folder is no submission.

    Raises UsageError when `folder` is none, cannot be read, or holds nothing of the kind, and for a
    metadata file that is broken.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "there is no such folder"
        raise UsageError(
            f"{folder}: {what}", hint="unpack the platform's download and give its folder"
        )
    try:
        arrivals = _files_before_texts(tuple(_arrivals(folder)))
        return tuple(_without_blind_names(_archives_before_files(arrivals)))
    except OSError as error:
        raise UsageError(f"{folder}: cannot be read: {error.strerror or error}") from error


def _arrivals(folder: Path) -> Iterator[Arrival]:
    metadata = _metadata(folder / METADATA)
    for path in _entries(folder):
        if path.is_dir():
            yield from _from_folder(path, metadata)
        elif match := _MOODLE_FLAT.fullmatch(path.name):
            ids = {"moodle": match["id"], "moodle_prefix": match["prefix"]}
            yield _moodle(path, match["file"], match["name"], ids)
        elif match := _CANVAS.fullmatch(path.name):
            yield _canvas(path, match)
        elif _is_archive(path):
            yield Arrival(path, path.name)


def _from_folder(folder: Path, metadata: Mapping[str, Any]) -> Iterator[Arrival]:
    if folder.name in metadata or _GRADESCOPE.fullmatch(folder.name):
        about = _gradescope(folder.name, metadata.get(folder.name, {}))
    elif match := _MOODLE.fullmatch(folder.name):
        ids = {"moodle": match["id"], "moodle_folder": folder.name}
        about = _moodle(folder, "", match["name"], ids)
    elif is_written_by_grader(folder):
        return
    else:
        about = Arrival(folder, "", members=(Member(name=folder.name),))
    files = [path for path in sorted(folder.rglob("*")) if _is_file(path)]
    archives = [path for path in files if _is_archive(path)]
    # An archive among other files is one of them, unless it lies at the top as the student left it.
    chosen = [path for path in archives if path.parent == folder] or (
        archives if len(archives) == len(files) else []
    )
    for path in chosen:
        yield _at(about, path, path.name, loose=False)
    if files and not chosen:
        yield _at(about, folder, folder.name, loose=True)


def _at(about: Arrival, path: Path, file_name: str, *, loose: bool) -> Arrival:
    return replace(about, path=path, file_name=file_name, loose=loose)


def _entries(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.iterdir())
        if not path.is_symlink() and not _is_junk(path.name)
    ]


def _is_file(path: Path) -> bool:
    return (
        path.is_file()
        and not path.is_symlink()
        and not any(_is_junk(part) for part in path.parts[-2:])
    )


def _is_junk(name: str) -> bool:
    return name.startswith(".") or name in _JUNK_NAMES


def is_download(names: Iterable[str]) -> bool:
    """Whether an archive with members of these names is itself a platform's download of all
    submissions."""
    for name in names:
        first, *rest = name.split("/")
        is_platform = _MOODLE.fullmatch(first) if rest else _MOODLE_FLAT.fullmatch(first)
        is_canvas = not rest and _CANVAS.fullmatch(first) and Path(first).suffix in _ARCHIVES
        if is_platform or is_canvas or name.rpartition("/")[2] == METADATA:
            return True
    return False


def _moodle(path: Path, file_name: str, name: str, ids: Mapping[str, str]) -> Arrival:
    return Arrival(
        path, file_name, members=(Member(name=name.replace("_", " ").strip()),), platform_ids=ids
    )


def _files_before_texts(arrivals: Sequence[Arrival]) -> tuple[Arrival, ...]:
    """Without the online texts of those who handed in files: Moodle gives them a folder of their
    own, and two folders look like two submissions."""
    with_files = {one.platform_ids["moodle"] for one in arrivals if _FILES_PLUGIN in _place(one)}
    return tuple(
        one
        for one in arrivals
        if not _place(one)
        or _FILES_PLUGIN in _place(one)
        or one.platform_ids["moodle"] not in with_files
    )


def _archives_before_files(arrivals: Sequence[Arrival]) -> tuple[Arrival, ...]:
    """Without the report that lies beside somebody's archive: a flat download takes a person's
    files apart, and two files look like two submissions."""
    archived = {_account(one) for one in arrivals if _is_archive(one.path)}
    return tuple(
        one
        for one in arrivals
        if one.loose or _is_archive(one.path) or _account(one) not in archived
    )


def _account(arrival: Arrival) -> tuple[str, str] | None:
    for platform in ("moodle", "canvas"):
        if platform in arrival.platform_ids:
            return platform, arrival.platform_ids[platform]
    return None


def _is_archive(path: Path) -> bool:
    return path.suffix.lower() in _ARCHIVES


def _place(arrival: Arrival) -> str:
    """What Moodle called the folder or put before the file's name; "" from elsewhere."""
    ids = arrival.platform_ids
    return ids.get("moodle_folder", ids.get("moodle_prefix", ""))


def _without_blind_names(arrivals: Sequence[Arrival]) -> Iterator[Arrival]:
    """Blind marking puts a word of the site's language in everybody's name's place."""
    moodle = [one for one in arrivals if "moodle" in one.platform_ids]
    names = {member.name for one in moodle for member in one.members}
    ids = {one.platform_ids["moodle"] for one in moodle}
    blind = names if len(names) == 1 and len(ids) > 1 else {"Participant"}
    for one in arrivals:
        hidden = "moodle" in one.platform_ids and {m.name for m in one.members} <= blind
        yield replace(one, members=()) if hidden else one


def _canvas(path: Path, match: re.Match[str]) -> Arrival:
    return Arrival(
        path,
        _CANVAS_AGAIN.sub("", match["file"]),
        members=(Member(name=match["name"]),),
        marked_late=match["late"] is not None,
        platform_ids={"canvas": match["user"]},
    )


# --------------------------------------------------------------------------- Gradescope


def _metadata(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        document = yaml.load(path.read_bytes(), Loader=loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{path}: is not Gradescope's metadata: {quoted(str(error), 200)}",
            hint="download the export again",
        ) from error
    if not isinstance(document, dict):
        raise UsageError(
            f"{path}: is not Gradescope's metadata: no submission is listed",
            hint="download the export again",
        )
    return document


def _gradescope(key: str, record: Any) -> Arrival:
    """What the export says of one submission; fields are Ruby symbols (`:submitters`)."""
    known = record if isinstance(record, dict) else {}
    submitters = known.get(":submitters")
    members = tuple(
        Member(
            name=_text(one.get(":name")),
            email=_text(one.get(":email")),
            entry_number=_text(one.get(":sid")),
        )
        for one in (submitters if isinstance(submitters, list) else [])
        if isinstance(one, dict)
    )
    created = known.get(":created_at")
    if isinstance(created, str):
        try:
            created = datetime.fromisoformat(created)
        except ValueError:
            created = None  # in time, as far as anybody can tell
    if not isinstance(created, datetime):
        created = None
    elif created.tzinfo is None:
        created = created.replace(tzinfo=UTC)  # YAML's own times are UTC
    number = _GRADESCOPE.fullmatch(key)
    return Arrival(
        Path(key),
        "",
        members=members,
        submitted_at=created,
        platform_ids={"gradescope": number[1] if number else key},
    )


def _text(value: Any) -> str | None:
    return (str(value).strip() or None) if isinstance(value, (str, int)) else None
