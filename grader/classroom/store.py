"""The class on disk: every submission, where it stands, every result, and who changed what and why.

One SQLite file, `class.sqlite`, in the results folder. It is written by one process at a time and
read by any number beside it (write-ahead log). Each change is one transaction, so that a process
that is killed leaves what stood before or what was meant, never half of it; results and adjustments
are only ever added. What the tables hold is told in `schema.sql`.
"""

from __future__ import annotations

import json
import re
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Self

from grader.classroom.marks import Misfit, counted, maxima, misfits, total, with_adjustments
from grader.classroom.owners import still_absent
from grader.classroom.progress import Running
from grader.classroom.records import (
    Absent,
    Adjustment,
    ClassInfo,
    Door,
    Entry,
    Fingerprint,
    PastResult,
    Setup,
    State,
    Submitted,
)
from grader.classroom.submission_row import submitted_of, values_of
from grader.errors import UsageError
from grader.model import Finding

FILE_NAME = "class.sqlite"
REPORTS_FOLDER = "reports"
SCHEMA_VERSION = 3
APPLICATION_ID = 0x47524144  # "GRAD", where file(1) looks for it
_SCHEMA = Path(__file__).with_name("schema.sql")
# Columns that came after their table: a table's name and the column as schema.sql has it.
_LATER_COLUMNS = (
    ("submission", "owners", "TEXT NOT NULL DEFAULT '[]'"),
    ("submission", "timing", "TEXT"),
)
_BUSY_SECONDS = 30.0


def open_store(results: Path) -> Store:
    """Open the class in the folder `results`.

    Raises UsageError when there is none, when it is not one of the grader's, or when a newer
    grader made it.
    """
    path = results / FILE_NAME
    if not path.is_file():
        raise UsageError(
            f"{results}: holds no results of a class ({FILE_NAME} is missing)",
            hint="give the folder that `grader class … --out` wrote to",
        )
    return _opened(results)


def make_store(results: Path, info: ClassInfo) -> Store:
    """Open the class in `results`, and make it when there is none yet.

    Raises UsageError as `open_store` does, and when the results are those of another assignment.
    """
    try:
        # Marks, names and hidden images: for one user, until he decides otherwise.
        results.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{results}: this folder cannot be made: {error.strerror}", hint="choose another --out"
        ) from error
    store = _opened(results)
    try:
        if store.is_new():
            store.begin_class(info)
        _check_assignment(store, info)
    except BaseException:
        store.close()
        raise
    return store


def _check_assignment(store: Store, info: ClassInfo) -> None:
    known = store.info().assignment_id
    if known != info.assignment_id:
        raise UsageError(
            f"{store.results}: holds the results of another class: its assignment is {known}, this "
            f"is {info.assignment_id}",
            hint="give every class a folder of its own with --out",
        )


def _opened(results: Path) -> Store:
    path = results / FILE_NAME
    with _told(path):
        connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
        connection.row_factory = sqlite3.Row
        try:
            _check_schema(connection, path)
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = FULL")
            return Store(results, connection)
        except BaseException:
            connection.close()
            raise


def _check_schema(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application == 0 and tables == 0:
        _make_tables(connection)
    elif application != APPLICATION_ID:
        raise UsageError(
            f"{path}: this database was not made by the grader",
            hint="choose another folder with --out",
        )
    elif version > SCHEMA_VERSION:
        raise UsageError(
            f"{path}: was written by a newer grader (schema {version}; this one knows "
            f"{SCHEMA_VERSION})",
            hint="use the grader that wrote it, or a newer one; nothing was changed",
        )
    elif version < SCHEMA_VERSION:
        _bring_up(connection)


def _make_tables(connection: sqlite3.Connection) -> None:
    """All of them or none: a process that is killed here leaves an empty file."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables == 0:  # nobody else was faster
            for statement in _statements(_SCHEMA.read_text("utf-8")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _bring_up(connection: sqlite3.Connection) -> None:
    """Bring an earlier schema up to this one: since schema 1, something was only ever added."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        known = {row["name"] for row in connection.execute("SELECT name FROM sqlite_master")}
        for statement in _statements(_SCHEMA.read_text("utf-8")):
            made = re.search(r"^CREATE (?:TABLE|INDEX) (\w+)", statement, re.MULTILINE)
            if made is not None and made[1] not in known:
                connection.execute(statement)
        for table, column, kind in _LATER_COLUMNS:
            rows = connection.execute(f"PRAGMA table_info({table})")
            if column not in {row["name"] for row in rows}:
                connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what SQLite says into what a person can do about it."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
            hint = "free some space on this disk and run the command again: nothing is lost"
        elif name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            hint = "another grader command writes to it: wait until it has ended"
        elif name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
            hint = "give yourself the right to write to the results folder, or choose another"
        elif name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
            hint = "put a backup in its place, or grade into another folder with --out"
        else:
            raise
        raise UsageError(f"{path}: {error}", hint=hint) from error


@contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be renamed: {error.strerror or error}",
            hint="give yourself the right to write to the results folder; nothing is lost",
        ) from error


class Store:
    """The class in one results folder. Not for use by several threads."""

    def __init__(self, results: Path, connection: sqlite3.Connection) -> None:
        self.results = results
        self._connection = connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    # ------------------------------------------------------------------- the class

    def is_new(self) -> bool:
        """Whether nothing has been said of the class yet."""
        return not self._rows("SELECT one FROM class")

    def info(self) -> ClassInfo:
        """What is known of the class as a whole. Raises UsageError for a class without it."""
        row = self._row("SELECT * FROM class")
        if row is None:
            raise UsageError(
                f"{self.results / FILE_NAME}: is empty: its first run was stopped before it began",
                hint="run `grader class` with this --out again",
            )
        given = json.loads(row["setup"])
        paths = ("submissions", "masks", "images", "labels", "classes", "roster")
        setup = Setup(
            **{
                **given,
                **{name: Path(given[name]) for name in paths if given[name] is not None},
                **{name: tuple(map(Path, given.get(name, ()))) for name in ("base", "archive")},
            }
        )
        return ClassInfo(
            assignment_id=row["assignment_id"],
            title=row["title"],
            course=row["course"],
            max_marks=Decimal(row["max_marks"]),
            definition_sha256=row["definition_sha256"],
            truth_sha256=row["truth_sha256"],
            setup=setup,
            created_at=datetime.fromisoformat(row["created_at"]),
        )

    def truth_stamp(self) -> str:
        """The stamp of the truth's files when their hash was last taken; "" before."""
        return str(self._one("SELECT truth_stamp FROM class")[0])

    def begin_class(self, info: ClassInfo, truth_stamp: str = "") -> None:
        """Say, or say anew, what the class is graded with; its first time is kept."""
        with self._transaction():
            first = self._row("SELECT created_at FROM class")
            self._connection.execute(
                "INSERT OR REPLACE INTO class VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    info.assignment_id,
                    info.title,
                    info.course,
                    f"{info.max_marks:f}",
                    info.definition_sha256,
                    info.truth_sha256,
                    truth_stamp,
                    json.dumps(asdict(info.setup), default=str),
                    info.created_at.isoformat() if first is None else first["created_at"],
                ),
            )

    def compared(self) -> tuple[str, str]:
        """What the last comparison of the class rests on and what it said; "" before any."""
        row = self._row("SELECT rests_on, summary FROM comparison")
        return ("", "") if row is None else (row["rests_on"], row["summary"])

    def remember_comparison(self, rests_on: str, summary: str, at: datetime) -> None:
        """The class has been compared."""
        with self._transaction():
            self._connection.execute(
                "INSERT OR REPLACE INTO comparison VALUES (1, ?, ?, ?)",
                (rests_on, at.isoformat(), summary),
            )

    # ------------------------------------------------------------------- what is due

    def enrol(self, door: Door, who: str) -> None:
        """Take in what was found at the door: new submissions wait, known ones are told anew.

        Submissions that are no longer at the door stay as they are, and whoever handed them in is
        not absent.
        """
        here = {one.key for one in door.submitted}
        kept = [one for one in self.submitted() if one.key not in here]
        with self._transaction():
            self._connection.execute("DELETE FROM absent")
            self._connection.executemany(
                "INSERT INTO absent VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (
                        one.key,
                        position,
                        one.entry_number,
                        one.name,
                        one.email,
                        json.dumps(dict(one.platform_ids)),
                    )
                    for position, one in enumerate(still_absent(door, kept))
                ],
            )
            for position, one in enumerate(door.submitted):
                values = values_of(one) | {"position": position}
                new = {**values, "state": State.WAITING, "why": "first grading", "who": who}
                self._connection.execute(
                    f"INSERT INTO submission ({', '.join(new)}) "
                    f"VALUES ({', '.join(f':{name}' for name in new)}) ON CONFLICT (key) "
                    f"DO UPDATE SET {', '.join(f'{name} = :{name}' for name in values)}",
                    new,
                )

    def rename(self, keys: Mapping[str, str]) -> None:
        """Give submissions (earlier key → key) another name, with all that belongs to them. A
        process that is killed here leaves what the next one completes."""
        for earlier, key in keys.items():
            folder = self.results / REPORTS_FOLDER / earlier
            with _written(folder):
                if folder.is_dir() and not folder.with_name(key).exists():
                    folder.rename(folder.with_name(key))
            with self._transaction():
                self._connection.execute("PRAGMA defer_foreign_keys = ON")
                for table in ("submission", "result", "adjustment", "failure"):
                    self._connection.execute(
                        f"UPDATE {table} SET key = ? WHERE key = ?",
                        (key, earlier),
                    )

    def note(self, findings: Mapping[str, Finding]) -> None:
        """Add a finding of the door to submissions (key → finding), once."""
        with self._transaction():
            for one in self.submitted():
                added = findings.get(one.key)
                if added is not None and added.code not in {known.code for known in one.findings}:
                    values = values_of(replace(one, findings=(*one.findings, added)))
                    self._connection.execute(
                        "UPDATE submission SET findings = :findings WHERE key = :key",
                        {name: values[name] for name in ("findings", "key")},
                    )

    def ask(self, reasons: Mapping[str, str], who: str) -> None:
        """Put submissions (key → why) in line for grading; their results so far stay."""
        with self._transaction():
            self._connection.executemany(
                "UPDATE submission SET state = 'waiting', why = ?, who = ?, attempts = 0, "
                "fault = NULL, running_since = NULL, running_on = NULL, stage = NULL WHERE key = ?",
                [(why, who, key) for key, why in reasons.items()],
            )

    def put_back(self, keys: Iterable[str] | None = None) -> None:
        """What was running when a run ended goes back in line; nothing is charged for it.

        `keys`: those alone; by default all that a killed process left.
        """
        chosen = None if keys is None else set(keys)
        with self._transaction():
            running = [
                row["key"]
                for row in self._rows("SELECT key FROM submission WHERE state = 'running'")
                if chosen is None or row["key"] in chosen
            ]
            self._connection.executemany(
                "UPDATE submission SET state = 'waiting', running_since = NULL, "
                "running_on = NULL, stage = NULL WHERE key = ?",
                [(key,) for key in running],
            )

    def settle(self, keys: Iterable[str]) -> None:
        """Leave submissions, whose zip has gone, at the result that they have: no run can make
        another. Those without a result stay as they are."""
        with self._transaction():
            self._connection.executemany(
                "UPDATE submission SET state = 'done', fault = NULL "
                "WHERE key = ? AND key IN (SELECT key FROM result)",
                [(key,) for key in keys],
            )

    def stamp_zips(self, stamps: Mapping[str, str]) -> None:
        """Remember size and times (key → stamp) of zips whose content is the graded one."""
        with self._transaction():
            self._connection.executemany(
                "UPDATE submission SET zip_stamp = ? WHERE key = ?",
                [(stamp, key) for key, stamp in stamps.items()],
            )

    def tell_lateness(self, submitted: Iterable[Submitted]) -> None:
        """Tell anew how late submissions came, and what is noted of that."""
        with self._transaction():
            self._connection.executemany(
                "UPDATE submission SET late_seconds = :late_seconds, findings = :findings "
                "WHERE key = :key",
                [
                    {name: values[name] for name in ("key", "late_seconds", "findings")}
                    for values in map(values_of, submitted)
                ],
            )

    def charge(self, penalties: Mapping[str, Decimal]) -> None:
        """Set what lateness costs (key → marks)."""
        with self._transaction():
            self._connection.executemany(
                "UPDATE submission SET late_penalty = ? WHERE key = ?",
                [(f"{marks:f}", key) for key, marks in penalties.items()],
            )

    # ------------------------------------------------------------------- a grading

    def start(self, key: str, worker: str, at: datetime) -> None:
        """An attempt begins."""
        with self._transaction():
            self._connection.execute(
                "UPDATE submission SET state = 'running', running_since = ?, running_on = ?, "
                "stage = NULL WHERE key = ?",
                (at.isoformat(), worker, key),
            )

    def show_stages(self, stages: Mapping[str, str]) -> None:
        """What runs where at this moment (key → stage), for `grader status`. Not worth a wait for
        the disk: after a power failure nobody asks."""
        self._connection.execute("PRAGMA synchronous = NORMAL")
        try:
            with self._transaction():
                self._connection.executemany(
                    "UPDATE submission SET stage = ? WHERE key = ? AND state = 'running'",
                    [(stage, key) for key, stage in stages.items()],
                )
        finally:
            self._connection.execute("PRAGMA synchronous = FULL")

    def finish(self, result: PastResult, report: str, zip_stamp: str, late: Decimal) -> int:
        """An attempt has ended with a report: add the result; returns its number.

        `report` is the text of report.json and `late` the marks that lateness takes; who and why
        are taken from the submission, where `ask` put them.
        """
        rests_on = result.fingerprint
        with self._transaction():
            row = self._row("SELECT who, why FROM submission WHERE key = ?", result.key)
            if row is None:
                raise KeyError(result.key)
            added = self._connection.execute(
                "INSERT INTO result (key, graded_at, who, why, zip_sha256, truth_sha256, "
                "definition_sha256, grader, seconds, verdict, marks, awards, report) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    result.key,
                    result.graded_at.isoformat(),
                    row["who"],
                    row["why"],
                    rests_on.zip_sha256,
                    rests_on.truth_sha256,
                    rests_on.definition_sha256,
                    rests_on.grader,
                    result.seconds,
                    result.verdict,
                    f"{result.marks:f}",
                    json.dumps({name: f"{given:f}" for name, given in result.awards.items()}),
                    zlib.compress(report.encode()),
                ),
            )
            self._connection.execute(
                "UPDATE submission SET state = 'done', attempts = attempts + 1, fault = NULL, "
                "zip_stamp = ?, late_penalty = ?, running_since = NULL, running_on = NULL, "
                "stage = NULL WHERE key = ?",
                (zip_stamp, f"{late:f}", result.key),
            )
        return int(added.lastrowid or 0)

    def fail(self, key: str, fault: str, worker: str, at: datetime, *, most_attempts: int) -> State:
        """An attempt has failed through the grader's own fault; returns whether it is tried again
        (WAITING) or set aside (PARKED)."""
        with self._transaction():
            (attempts,) = self._one("SELECT attempts FROM submission WHERE key = ?", key)
            state = State.PARKED if attempts + 1 >= most_attempts else State.WAITING
            self._connection.execute(
                "INSERT INTO failure (key, failed_at, worker, fault) VALUES (?, ?, ?, ?)",
                (key, at.isoformat(), worker, fault),
            )
            self._connection.execute(
                "UPDATE submission SET state = ?, attempts = attempts + 1, fault = ?, "
                "running_since = NULL, running_on = NULL, stage = NULL WHERE key = ?",
                (state, fault, key),
            )
        return state

    def adjust(self, key: str, adjustment: Adjustment, late: Decimal) -> None:
        """Add marks that a person gave; `late` is what lateness takes from then on."""
        with self._transaction():
            self._connection.execute(
                "INSERT INTO adjustment (key, criterion, marks, because, who, made_at) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (
                    key,
                    adjustment.criterion,
                    f"{adjustment.marks:f}",
                    adjustment.because,
                    adjustment.who,
                    adjustment.when.isoformat(),
                ),
            )
            self._connection.execute(
                "UPDATE submission SET late_penalty = ? WHERE key = ?", (f"{late:f}", key)
            )

    # ------------------------------------------------------------------- what is known

    def entries(self) -> tuple[Entry, ...]:
        """Every submission with its parsed report, in the order of the door, then the absent."""
        most = self.info().max_marks
        rows = self._rows("SELECT * FROM submission ORDER BY position, key")
        return (
            *(self._entry(row, most) for row in rows),
            *(_absent_entry(one, most) for one in self.absent()),
        )

    def absent(self) -> tuple[Absent, ...]:
        """Who of the roster handed in nothing, in the roster's order."""
        return tuple(
            Absent(
                key=row["key"],
                entry_number=row["entry_number"],
                name=row["name"],
                email=row["email"],
                platform_ids=json.loads(row["platform_ids"]),
            )
            for row in self._rows("SELECT * FROM absent ORDER BY position")
        )

    def entry(self, key: str) -> Entry:
        """One submission. Raises KeyError for a key that is none."""
        row = self._row("SELECT * FROM submission WHERE key = ?", key)
        if row is None:
            raise KeyError(key)
        return self._entry(row, self.info().max_marks)

    def states(self) -> dict[str, State]:
        """key → where it stands, in the order of the door; no report is read."""
        return {
            row["key"]: State(row["state"])
            for row in self._rows("SELECT key, state FROM submission ORDER BY position, key")
        }

    def submitted(self) -> tuple[Submitted, ...]:
        """What was found at the door; no report is read."""
        rows = self._rows("SELECT * FROM submission ORDER BY position, key")
        return tuple(submitted_of(dict(row)) for row in rows)

    def running(self) -> tuple[Running, ...]:
        """What runs, as far as the run that is at work has told."""
        return tuple(
            Running(
                row["key"],
                datetime.fromisoformat(row["running_since"]),
                row["running_on"],
                row["stage"] or "",
            )
            for row in self._rows(
                "SELECT * FROM submission WHERE state = 'running' ORDER BY running_since, key"
            )
        )

    def faults(self) -> dict[str, str]:
        """key → the fault of what is parked."""
        rows = self._rows("SELECT * FROM submission WHERE state = 'parked' ORDER BY position, key")
        return {row["key"]: row["fault"] or "" for row in rows}

    def zip_stamps(self) -> dict[str, str]:
        """key → size and times of the zip that the current result belongs to; "" without one."""
        return {row["key"]: row["zip_stamp"] for row in self._rows("SELECT * FROM submission")}

    def fingerprints(self) -> dict[str, Fingerprint]:
        """key → what the current result rests on, where there is a result."""
        return {
            row["key"]: _fingerprint(row)
            for row in self._rows(
                "SELECT key, zip_sha256, truth_sha256, definition_sha256, grader FROM result "
                "WHERE number IN (SELECT max(number) FROM result GROUP BY key)"
            )
        }

    def awards(self) -> dict[str, dict[str, Decimal]]:
        """key → criterion → marks with the adjustments, where there is a result; the reports of
        those alone are read that have adjustments."""
        awards = {
            row["key"]: _decimals(row["awards"])
            for row in self._rows(
                "SELECT key, awards FROM result "
                "WHERE number IN (SELECT max(number) FROM result GROUP BY key)"
            )
        }
        adjusted = {
            past.key: with_adjustments(past.awards, self.adjustments(past.key), maxima(past.report))
            for past in self._adjusted()
        }
        return awards | adjusted

    def misfits(self) -> tuple[Misfit, ...]:
        """Adjustments that no longer fit the definition that the current results rest on."""
        return tuple(
            misfit
            for past in self._adjusted()
            for misfit in misfits(past.key, self.adjustments(past.key), maxima(past.report))
        )

    def seconds(self) -> tuple[float, ...]:
        """How long the current results took, each."""
        return tuple(
            row["seconds"]
            for row in self._rows(
                "SELECT seconds FROM result "
                "WHERE number IN (SELECT max(number) FROM result GROUP BY key)"
            )
        )

    def latest(self, key: str) -> PastResult | None:
        """The current result; None where there is none."""
        row = self._row("SELECT * FROM result WHERE key = ? ORDER BY number DESC LIMIT 1", key)
        return None if row is None else _past_result(row)

    def late_penalties(self) -> dict[str, Decimal]:
        """key → marks that lateness takes."""
        rows = self._rows("SELECT key, late_penalty FROM submission")
        return {row["key"]: Decimal(row["late_penalty"]) for row in rows}

    def latest_number(self, key: str) -> int | None:
        """The number of the current result; None where there is none."""
        number: int | None = self._one("SELECT max(number) FROM result WHERE key = ?", key)[0]
        return number

    def latest_numbers(self) -> dict[str, int]:
        """key → the number of the current result, where there is one."""
        rows = self._rows("SELECT key, max(number) AS latest FROM result GROUP BY key")
        return {row["key"]: row["latest"] for row in rows}

    def last_faults(self, count: int) -> tuple[str, ...]:
        """The grader's own faults of the attempts that failed last, the last one first."""
        rows = self._rows("SELECT fault FROM failure ORDER BY number DESC LIMIT ?", count)
        return tuple(row["fault"] for row in rows)

    def history(self, key: str) -> tuple[PastResult, ...]:
        """Every result of one submission, the oldest first."""
        rows = self._rows("SELECT * FROM result WHERE key = ? ORDER BY number", key)
        return tuple(_past_result(row) for row in rows)

    def adjustments(self, key: str) -> tuple[Adjustment, ...]:
        """Every adjustment of one submission, the oldest first, those in force and earlier ones."""
        return tuple(
            Adjustment(
                criterion=row["criterion"],
                marks=Decimal(row["marks"]),
                because=row["because"],
                who=row["who"],
                when=datetime.fromisoformat(row["made_at"]),
            )
            for row in self._rows("SELECT * FROM adjustment WHERE key = ? ORDER BY number", key)
        )

    # ------------------------------------------------------------------- inside

    def _adjusted(self) -> Iterator[PastResult]:
        """The current results that a person has adjusted, in the order of the door."""
        for row in self._rows(
            "SELECT key FROM submission WHERE key IN (SELECT key FROM adjustment) "
            "ORDER BY position, key"
        ):
            past = self.latest(row["key"])
            if past is not None:
                yield past

    def _entry(self, row: sqlite3.Row, max_marks: Decimal) -> Entry:
        key = row["key"]
        past = self.latest(key)
        adjustments: tuple[Adjustment, ...] = ()
        late = Decimal(row["late_penalty"])
        report, graded, marks, folder = None, None, None, None
        if past is not None:
            report, graded = past.report, past.marks
            folder = self.results / REPORTS_FOLDER / key
            most = maxima(past.report)
            adjustments = counted(self.adjustments(key), most)
            awards = with_adjustments(past.awards, adjustments, most)
            marks = max(Decimal(0), total(awards) - late)
        return Entry(
            submitted=submitted_of(dict(row)),
            state=State(row["state"]),
            report=report,
            report_folder=folder,
            marks=marks,
            graded_marks=graded,
            max_marks=max_marks,
            late_penalty=late,
            adjustments=adjustments,
            attempts=row["attempts"],
            fault=row["fault"] if row["state"] == State.PARKED else None,
        )

    def _rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        with _told(self.results / FILE_NAME):
            return list(self._connection.execute(query, values))

    def _row(self, query: str, *values: object) -> sqlite3.Row | None:
        rows = self._rows(query, *values)
        return rows[0] if rows else None

    def _one(self, query: str, *values: object) -> sqlite3.Row:
        row = self._row(query, *values)
        if row is None:
            raise KeyError(values)
        return row

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _told(self.results / FILE_NAME):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk may have rolled it back already
                    self._connection.execute("ROLLBACK")
                raise


def _absent_entry(absent: Absent, max_marks: Decimal) -> Entry:
    return Entry(
        submitted=absent,
        state=State.ABSENT,
        report=None,
        report_folder=None,
        marks=None,
        graded_marks=None,
        max_marks=max_marks,
        late_penalty=Decimal(0),
        adjustments=(),
        attempts=0,
        fault=None,
    )


def _past_result(row: sqlite3.Row) -> PastResult:
    return PastResult(
        number=row["number"],
        key=row["key"],
        graded_at=datetime.fromisoformat(row["graded_at"]),
        who=row["who"],
        why=row["why"],
        fingerprint=_fingerprint(row),
        seconds=row["seconds"],
        verdict=row["verdict"],
        marks=Decimal(row["marks"]),
        awards=_decimals(row["awards"]),
        report=json.loads(zlib.decompress(row["report"])),
    )


def _fingerprint(row: sqlite3.Row) -> Fingerprint:
    return Fingerprint(
        row["zip_sha256"], row["truth_sha256"], row["definition_sha256"], row["grader"]
    )


def _decimals(text: str) -> dict[str, Decimal]:
    return {name: Decimal(marks) for name, marks in json.loads(text).items()}
