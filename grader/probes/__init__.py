"""Classes of the student's, run on given arrays in the sandbox, judged outside by exact answers.

`SUBJECTS` names what a definition may probe: name → "module:function" of the exact answer.
The programs of `inside/` run in the sandbox; what they return are arrays, never a verdict.
"""

from __future__ import annotations

SUBJECTS: dict[str, str] = {
    "normalization.batch": "grader.probes.normalization:BATCH",
    "normalization.instance": "grader.probes.normalization:INSTANCE",
    "normalization.batch-instance": "grader.probes.normalization:BATCH_INSTANCE",
    "normalization.layer": "grader.probes.normalization:LAYER",
    "normalization.group": "grader.probes.normalization:GROUP",
}
