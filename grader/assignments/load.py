"""Load and validate an assignment definition: `assignment.toml`, its schemas and its class list.

A definition is data: registered names, numbers and file names, no expressions. It is checked in
two steps, each error naming file and line: against `definition.schema.json`, then every name that
refers to something else (roles in argv templates, cases and outputs in measurements, …).
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
import string
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from grader.assignments.conformity import conforms, is_schema
from grader.assignments.repeat import Repeated, UnknownListError
from grader.assignments.toml_lines import line_of
from grader.errors import DefinitionError, UsageError
from grader.findings import CATALOGUE
from grader.metrics import METRICS
from grader.model import (
    Assignment,
    CaseSpec,
    CheckpointSpec,
    Criterion,
    CurvePoint,
    LatePolicy,
    MeasurementSpec,
    OutputSpec,
    Preprocessing,
    ProbeSpec,
    Role,
    RunLimits,
    ZipLimits,
)
from grader.networks import NETWORKS
from grader.probes import SUBJECTS
from grader.readers import READERS
from grader.source.rules import parse_source_rules

_HERE = Path(__file__).parent
_MIB = 1024 * 1024
# What the metrics of a kind are made of: the reader of the output. Layers have no output.
_READERS_OF_METRICS = {
    "classification": "labels_csv",
    "heatmaps": "heatmap_images",
    "segmentation": "mask_images",
}
_INTERPOLATION = "pil-bilinear"  # of a preprocessing that names none

# What an argv template may name beside the roles: staged by grader.stages.run_cases.
STAGED_NAMES = ("images", "train_images", "checkpoint_dir")


def builtin_ids() -> tuple[str, ...]:
    """The assignments that come with the grader, sorted."""
    return tuple(sorted(path.parent.name for path in _HERE.glob("*/assignment.toml")))


def find_definition(assignment: str) -> Path:
    """The `assignment.toml` meant by an id, a folder or a file.

    Raises UsageError when there is none, naming the ids that exist.
    """
    if assignment in builtin_ids():
        return _HERE / assignment / "assignment.toml"
    path = Path(assignment)
    if path.is_dir() and (path / "assignment.toml").is_file():
        return path / "assignment.toml"
    if path.is_file():
        return path
    if path.is_dir():
        raise UsageError(
            f"{path}: this folder holds no assignment.toml",
            hint="give the folder or the file of a definition; docs/assignment-format.md shows one",
        )
    raise UsageError(
        f"there is no assignment {assignment!r}",
        hint=f"known ones: {', '.join(builtin_ids())}; or give the path of an assignment.toml",
    )


def load_assignment(assignment: str) -> Assignment:
    """Load the definition named by an id or a path.

    Raises UsageError when there is none and DefinitionError (file, line) when it is wrong.
    """
    return _Loader(find_definition(assignment)).load()


class _Loader:
    """One definition on its way in; keeps the text so that errors can name lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.directory = path.parent
        self.text = ""
        self.digest = hashlib.sha256()
        self.repeated = Repeated({})

    # ------------------------------------------------------------------ errors

    def fail(self, message: str, where: Sequence[str | int], hint: str = "") -> DefinitionError:
        line = line_of(self.text, self.repeated.origin(where))
        return DefinitionError(message, path=self.path, line=line, hint=hint)

    def _one_of(
        self, value: str, known: Iterable[str], what: str, where: Sequence[str | int]
    ) -> None:
        names = sorted(known)
        if value not in names:
            raise self.fail(f"there is no {what} {value!r}", where, f"known: {', '.join(names)}")

    # ------------------------------------------------------------------ files

    def _utf8(self, path: Path) -> str:
        try:
            return path.read_bytes().decode("utf-8")
        except OSError as error:
            raise DefinitionError(
                f"cannot be read: {error.strerror or error}", path=path
            ) from error
        except UnicodeDecodeError as error:
            raise DefinitionError(
                f"is not UTF-8 text (byte {error.start})", path=path, hint="save it as UTF-8"
            ) from error

    def _counted_utf8(self, path: Path) -> str:
        text = self._utf8(path)
        self._count(text)
        return text

    def _count(self, text: str) -> None:
        """Let the definition's hash change with this part of it."""
        self.digest.update(hashlib.sha256(text.encode()).digest())

    def _beside(self, name: str, where: Sequence[str | int]) -> Path:
        path = self.directory / name
        if Path(name).is_absolute() or ".." in Path(name).parts or not path.is_file():
            raise self.fail(
                f"{name!r} is not a file beside the definition",
                where,
                f"put it into {self.directory} or correct the name",
            )
        return path

    def _schema(self, name: str, where: Sequence[str | int]) -> Mapping[str, Any]:
        path = self._beside(name, where)
        text = self._counted_utf8(path)
        try:
            schema = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            line = error.lineno if isinstance(error, json.JSONDecodeError) else None
            raise DefinitionError(f"is not JSON: {error}", path=path, line=line) from error
        if not is_schema(schema):
            _explain_schema(schema, path)
        if not isinstance(schema, dict):
            raise DefinitionError("has to be a JSON object", path=path)
        return schema

    # ------------------------------------------------------------------ parts

    def load(self) -> Assignment:
        self.text = self._utf8(self.path)
        try:
            table = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            at = re.search(r"at line (\d+)", str(error))
            raise DefinitionError(
                f"is not TOML: {error}", path=self.path, line=int(at.group(1)) if at else None
            ) from error
        # Lateness is taken from marks that are there already: it takes no part in making them. The
        # order counts, for cases and criteria have one.
        marking = {name: part for name, part in table.items() if name != "late"}
        self._count(json.dumps(marking, default=str))
        try:
            self.repeated = Repeated(table)
        except UnknownListError as error:
            raise self.fail(str(error), error.place) from error
        table = self.repeated.table
        self._finite(table, ())
        self._validate(table)

        roles = tuple(
            Role(
                id=name,
                accept=tuple(role["accept"]),
                required=role["required"],
                title=role["title"],
            )
            for name, role in table["submission"]["roles"].items()
        )
        cases = tuple(
            self._case(case, index, {role.id for role in roles})
            for index, case in enumerate(table["cases"])
        )
        self._unique(table, "cases")
        self._unique(table, "measurements")
        self._unique(table, "criteria")
        names = {role.id for role in roles}
        probes = self._probes(table, names)
        experiments = self._experiments(table, names, cases)
        measurements = self._measurements(table, cases, probes, experiments)
        criteria = self._criteria(table, measurements)
        submission = table["submission"]
        try:
            re.compile(submission["entry_number"])
        except re.error as error:
            raise self.fail(
                f"entry_number is not a regular expression: {error}", ("submission", "entry_number")
            ) from error
        if not re.fullmatch(submission["entry_number"], submission["entry_example"], re.ASCII):
            raise self.fail(
                f"entry_example {submission['entry_example']!r} does not match entry_number",
                ("submission", "entry_example"),
            )
        schema = self._schema(submission["schema"], ("submission", "schema"))
        self._source_rules(table)
        classes = self._classes(table)
        checkpoint = None if experiments else self._checkpoint(table, names)
        step = Decimal(table["marks_step"])
        if step <= 0:
            raise self.fail("marks_step has to be above zero", ("marks_step",))
        return Assignment(
            id=table["id"],
            title=table["title"],
            course=table.get("course", ""),
            directory=self.directory,
            sha256=self.digest.hexdigest(),
            entry_number=submission["entry_number"],
            entry_example=submission["entry_example"],
            zip_names=tuple(submission.get("zip_names", ("{entry}.zip",))),
            zip_limits=_zip_limits(submission.get("zip_limits", {})),
            submission_schema=schema,
            roles=roles,
            classes=classes,
            cases=cases,
            measurements=measurements,
            criteria=criteria,
            checkpoint=checkpoint,
            marks_step=step,
            source=table,
            late=self._late(table),
            experiments=experiments,
            probes=probes,
        )

    def _finite(self, value: Any, where: Sequence[str | int]) -> None:
        """TOML knows `inf` and `nan`; nothing here is compared with them or counted in them."""
        if isinstance(value, float) and not math.isfinite(value):
            place = ".".join(str(part) for part in where)
            raise self.fail(f"{place}: {value} is no number to count with", where)
        if isinstance(value, dict | list):
            for key, part in value.items() if isinstance(value, dict) else enumerate(value):
                self._finite(part, (*where, key))

    def _validate(self, table: Mapping[str, Any]) -> None:
        schema = json.loads((_HERE / "definition.schema.json").read_text("utf-8"))
        if conforms(schema, table):
            return
        from jsonschema import Draft202012Validator  # noqa: PLC0415 - only to explain a no
        from jsonschema.exceptions import best_match  # noqa: PLC0415

        error = best_match(Draft202012Validator(schema).iter_errors(table))
        if error is not None:
            where: list[str | int] = list(error.absolute_path)
            hint = ""
            if error.validator == "additionalProperties" and isinstance(error.instance, dict):
                from difflib import get_close_matches  # noqa: PLC0415

                known = list(error.schema.get("properties", {}))
                wrong = next(key for key in error.instance if key not in known)
                where.append(wrong)
                hint = f"it knows: {', '.join(get_close_matches(wrong, known) or known)}"
            elif error.schema.get("type") == "string" and isinstance(error.instance, int | float):
                hint = f'write it in quotes, as an exact decimal: "{error.instance}"'
            place = ".".join(str(part) for part in error.absolute_path) or "the definition"
            raise self.fail(f"{place}: {error.message}", where, hint)

    def _source_rules(self, table: Mapping[str, Any]) -> None:
        """A wrong rule is found with its line now, not when the first submission is read."""
        try:
            parse_source_rules(table.get("source_rules", {}))
        except ValueError as error:
            place, _, _ = str(error).partition(":")
            where = [int(part) if part.isdigit() else part for part in re.findall(r"\w+", place)]
            raise self.fail(str(error), where) from error

    def _unique(self, table: Mapping[str, Any], key: str) -> None:
        seen: set[str] = set()
        for index, item in enumerate(table.get(key, [])):
            if item["id"] in seen:
                raise self.fail(f"{key}: the id {item['id']!r} stands twice", (key, index, "id"))
            seen.add(item["id"])

    def _classes(self, table: Mapping[str, Any]) -> tuple[str, ...]:
        if "classes" not in table:
            return ()
        path = self._beside(table["classes"], ("classes",))
        names = [line.strip() for line in self._counted_utf8(path).splitlines() if line.strip()]
        for number, name in enumerate(names, start=1):
            if name in names[: number - 1]:
                raise DefinitionError(f"the class {name!r} stands twice", path=path, line=number)
        return tuple(names)

    def _case(self, case: Mapping[str, Any], index: int, roles: set[str]) -> CaseSpec:
        for position, template in enumerate([case["argv"], *case.get("variants", [])]):
            where: tuple[str | int, ...] = (
                ("cases", index, "argv")
                if position == 0
                else ("cases", index, "variants", position - 1)
            )
            for word in template:
                self._template(word, roles, where)
        schema = None
        if "outputs_schema" in case:
            schema = self._schema(case["outputs_schema"], ("cases", index, "outputs_schema"))
        outputs = []
        for number, output in enumerate(case["outputs"]):
            where = ("cases", index, "outputs", number)
            self._template(output["path"], set(), (*where, "path"))
            if Path(output["path"]).is_absolute() or ".." in Path(output["path"]).parts:
                raise self.fail(
                    f"the output {output['path']!r} leaves the working directory", (*where, "path")
                )
            self._one_of(output["reader"], READERS, "reader", (*where, "reader"))
            outputs.append(
                OutputSpec(
                    id=output["id"],
                    path=output["path"],
                    reader=output["reader"],
                    options=output.get("options", {}),
                )
            )
        return CaseSpec(
            id=case["id"],
            title=case["title"],
            argv=tuple(case["argv"]),
            variants=tuple(tuple(variant) for variant in case.get("variants", [])),
            limits=_run_limits(case.get("limits", {})),
            outputs=tuple(outputs),
            outputs_schema=schema,
            on_request=case.get("on_request", False),
        )

    def _template(self, word: str, roles: set[str], where: Sequence[str | int]) -> None:
        try:
            fields = [name for _, name, _, _ in string.Formatter().parse(word) if name is not None]
        except ValueError as error:
            raise self.fail(f"{word!r} is not a template: {error}", where) from error
        for name in fields:
            self._one_of(name, {*roles, *STAGED_NAMES}, "role or staged name", where)

    def _measurements(
        self,
        table: Mapping[str, Any],
        cases: Sequence[CaseSpec],
        probes: Sequence[ProbeSpec],
        experiments: Sequence[CheckpointSpec],
    ) -> tuple[MeasurementSpec, ...]:
        specs = []
        names = {experiment.id for experiment in experiments}
        for index, item in enumerate(table["measurements"]):
            where = ("measurements", index)
            self._one_of(item["metric"], METRICS, "metric", (*where, "metric"))
            of_best = item.get("of_best", False)
            outputs: list[OutputSpec] = []
            if "probe" in item:
                self._one_of(item["probe"], {p.id for p in probes}, "probe", (*where, "probe"))
            else:
                sources = {experiment.case for experiment in experiments} if of_best else set()
                if not of_best:
                    known = {case.id for case in cases}
                    self._one_of(item["case"], known, "case", (*where, "case"))
                    sources = {item["case"]}
                outputs = [o for case in cases if case.id in sources for o in case.outputs]
                names_of_outputs = {output.id for output in outputs}
                place = (*where, "output")
                self._one_of(item["output"], names_of_outputs, "output of that case", place)
            self._check_metric(item, outputs, where)
            if "of_experiment" in item:
                place = (*where, "of_experiment")
                self._one_of(item["of_experiment"], names, "experiment", place)
            specs.append(
                MeasurementSpec(
                    id=item["id"],
                    title=item["title"],
                    metric=item["metric"],
                    case=item.get("case", ""),
                    output=item.get("output", ""),
                    options=item.get("options", {}),
                    probe=item.get("probe", ""),
                    of_experiment=item.get("of_experiment", ""),
                    of_best=of_best,
                )
            )
        return tuple(specs)

    def _check_metric(
        self, item: Mapping[str, Any], outputs: Sequence[OutputSpec], where: Sequence[str | int]
    ) -> None:
        """A metric over what it cannot read would give everybody 0, or nothing."""
        metric = item["metric"]
        wanted = _READERS_OF_METRICS.get(metric.partition(".")[0])
        if wanted is None:
            if "probe" not in item:
                raise self.fail(
                    f"the metric {metric} measures a probe, not an output",
                    (*where, "metric"),
                    "name a probe in place of case and output",
                )
            return
        if "probe" in item:
            raise self.fail(
                f"the metric {metric} measures an output, not a probe",
                (*where, "metric"),
                f"name a case, and an output of it that the reader {wanted} reads",
            )
        readers = {output.reader for output in outputs if output.id == item["output"]}
        if readers != {wanted}:
            raise self.fail(
                f"the metric {metric} measures what {wanted} reads, and the output "
                f"{item['output']!r} is read by {' and '.join(sorted(readers))}",
                (*where, "output"),
                f"name an output whose reader is {wanted}",
            )

    def _criteria(
        self, table: Mapping[str, Any], measurements: Sequence[MeasurementSpec]
    ) -> tuple[Criterion, ...]:
        criteria = []
        for index, item in enumerate(table["criteria"]):
            where = ("criteria", index)
            maximum = Decimal(item["max_marks"])
            curve: tuple[CurvePoint, ...] = ()
            if "look_at" not in item:
                self._one_of(
                    item["measurement"],
                    {spec.id for spec in measurements},
                    "measurement",
                    (*where, "measurement"),
                )
                curve = tuple(
                    CurvePoint(at=at, marks=Decimal(marks)) for at, marks in item["curve"]
                )
                self._check_curve(curve, maximum, (*where, "curve"))
            criteria.append(
                Criterion(
                    id=item["id"],
                    title=item["title"],
                    measurement=item.get("measurement", ""),
                    max_marks=maximum,
                    curve=curve,
                    look_at=tuple(item.get("look_at", ())),
                )
            )
        return tuple(criteria)

    def _probes(self, table: Mapping[str, Any], roles: set[str]) -> tuple[ProbeSpec, ...]:
        self._unique(table, "probes")
        specs = []
        for index, item in enumerate(table.get("probes", [])):
            where = ("probes", index)
            self._one_of(item["role"], roles, "role", (*where, "role"))
            self._one_of(item["subject"], SUBJECTS, "subject of a probe", (*where, "subject"))
            specs.append(
                ProbeSpec(
                    id=item["id"],
                    title=item["title"],
                    subject=item["subject"],
                    role=item["role"],
                    class_names=tuple(item["class_names"]),
                    limits=_run_limits(item.get("limits", {})),
                )
            )
        return tuple(specs)

    def _experiments(
        self, table: Mapping[str, Any], roles: set[str], cases: Sequence[CaseSpec]
    ) -> tuple[CheckpointSpec, ...]:
        """The checkpoints of several experiments: `[checkpoint]` with what each has of its own."""
        self._unique(table, "experiments")
        specs: list[CheckpointSpec] = []
        for index, item in enumerate(table.get("experiments", [])):
            where = ("experiments", index)
            if "checkpoint" not in table:
                raise self.fail("experiments need a [checkpoint] that says what they share", where)
            self._one_of(item["role"], roles, "role", (*where, "role"))
            self._one_of(item["case"], {case.id for case in cases}, "case", (*where, "case"))
            if "history" in item:
                self._one_of(item["history"], roles, "role", (*where, "history"))
            for code in item.get("voided_by", []):
                self._one_of(code, CATALOGUE, "finding code", (*where, "voided_by"))
            part = table["checkpoint"]
            shared = {
                **part,
                "role": item["role"],
                "constraints": {**part.get("constraints", {}), **item.get("constraints", {})},
            }
            specs.append(
                replace(
                    self._checkpoint_of(shared, roles),
                    id=item["id"],
                    title=item["title"],
                    case=item["case"],
                    history=item.get("history", ""),
                    builtin_allowed=item.get("builtin_allowed", True),
                    voided_by=tuple(item.get("voided_by", ())),
                )
            )
        return tuple(specs)

    def _check_curve(
        self, curve: Sequence[CurvePoint], maximum: Decimal, where: Sequence[str | int]
    ) -> None:
        if any(isinstance(point.at, str) for point in curve[1:]):
            raise self.fail('"baseline" can only be the first point of a curve', where)
        numbers = [point.at for point in curve if not isinstance(point.at, str)]
        if any(right <= left for left, right in itertools.pairwise(numbers)):
            raise self.fail("the points of a curve have to rise from left to right", where)
        marks = [point.marks for point in curve]
        if any(right < left for left, right in itertools.pairwise(marks)):
            raise self.fail("the marks of a curve must not fall", where)
        if marks[-1] != maximum:
            raise self.fail(
                f"the last point of the curve gives {marks[-1]} marks, max_marks is {maximum}",
                where,
                "let the curve end at max_marks",
            )

    def _late(self, table: Mapping[str, Any]) -> LatePolicy | None:
        if "late" not in table:
            return None
        part = table["late"]
        deadline = None
        if "deadline" in part:
            try:
                deadline = datetime.fromisoformat(part["deadline"])
            except ValueError as error:
                raise self.fail(f"deadline is not a time: {error}", ("late", "deadline")) from error
            if deadline.tzinfo is None:
                raise self.fail(
                    f"the deadline {part['deadline']!r} has no time zone",
                    ("late", "deadline"),
                    "add the offset, as in 2025-03-01T23:59:00+05:30",
                )
        cut_off = part.get("cut_off_days")
        return LatePolicy(
            deadline=deadline,
            grace_seconds=float(part.get("grace_minutes", 0)) * 60,
            per_day_percent=Decimal(part.get("per_day_percent", "0")),
            of=part.get("of", "maximum"),
            cut_off_seconds=None if cut_off is None else float(cut_off) * 86_400,
        )

    def _checkpoint(self, table: Mapping[str, Any], roles: set[str]) -> CheckpointSpec | None:
        if "checkpoint" not in table:
            return None
        part = table["checkpoint"]
        if "role" not in part:
            raise self.fail("the checkpoint needs a role: the file that it is", ("checkpoint",))
        return self._checkpoint_of(part, roles)

    def _checkpoint_of(self, part: Mapping[str, Any], roles: set[str]) -> CheckpointSpec:
        self._one_of(part["role"], roles, "role", ("checkpoint", "role"))
        self._one_of(part["network"], NETWORKS, "network", ("checkpoint", "network"))
        ways = []
        for index, item in enumerate(part["preprocessing"]):
            if item["resize"] == "shorter-side-crop" and "resize_px" not in item:
                raise self.fail(
                    "shorter-side-crop needs resize_px", ("checkpoint", "preprocessing", index)
                )
            ways.append(
                Preprocessing(
                    id=item["id"],
                    title=item["title"],
                    resize=item["resize"],
                    size_px=item["size_px"],
                    resize_px=item.get("resize_px", item["size_px"]),
                    mean=tuple(item["mean"]),
                    std=tuple(item["std"]),
                    interpolation=item.get("interpolation", _INTERPOLATION),
                )
            )
        return CheckpointSpec(
            role=part["role"],
            network=part["network"],
            limits=_run_limits(part.get("limits", {})),
            constraints=part.get("constraints", {}),
            preprocessing=tuple(ways),
            other_sides_px=tuple(part.get("other_sides_px", ())),
        )


def _explain_schema(schema: Any, path: Path) -> None:
    """Raise DefinitionError where jsonschema, too, finds that `schema` is none."""
    from jsonschema import Draft202012Validator, SchemaError  # noqa: PLC0415 - only to explain a no

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        place = "/".join(str(part) for part in error.absolute_path) or "the top"
        raise DefinitionError(
            f"is not a JSON Schema (2020-12): at {place}: {error.message}", path=path
        ) from error


# What a definition need not say: generous for a small assignment, harmless for the machine.
_ZIP_LIMITS = {
    "zip_mib": 256,
    "unpacked_mib": 512,
    "member_mib": 256,
    "members": 5000,
    "depth": 12,
    "ratio": 200,
}
_RUN_LIMITS = {
    "wall_seconds": 300,
    "memory_mib": 4096,
    "processes": 128,
    "disk_mib": 256,
    "file_mib": 64,
    "files": 20000,
    "output_kib": 1024,
}


def _zip_limits(part: Mapping[str, Any]) -> ZipLimits:
    part = {**_ZIP_LIMITS, **part}
    return ZipLimits(
        zip_bytes=int(part["zip_mib"] * _MIB),
        unpacked_bytes=int(part["unpacked_mib"] * _MIB),
        member_bytes=int(part["member_mib"] * _MIB),
        members=part["members"],
        depth=part["depth"],
        ratio=float(part["ratio"]),
    )


def _run_limits(part: Mapping[str, Any]) -> RunLimits:
    part = {**_RUN_LIMITS, **part}
    wall = float(part["wall_seconds"])
    return RunLimits(
        wall_seconds=wall,
        # Sixteen busy cores for the whole time: a runaway is the wall clock's business.
        cpu_seconds=float(part.get("cpu_seconds", 16 * wall)),
        memory_bytes=int(part["memory_mib"] * _MIB),
        processes=part["processes"],
        disk_bytes=int(part["disk_mib"] * _MIB),
        file_bytes=int(part["file_mib"] * _MIB),
        files=part["files"],
        output_bytes=int(part["output_kib"] * 1024),
    )
