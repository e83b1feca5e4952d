"""Pure functions on arrays. They know no paths and no command line.

`METRICS` names what a definition may ask for: name → "module:function", so that a definition can
be checked without importing numpy. Adding a metric is adding a function and its line here.
"""

from __future__ import annotations

METRICS: dict[str, str] = {
    "classification.accuracy": "grader.metrics.classification:accuracy",
    "classification.macro_f1": "grader.metrics.classification:macro_f1",
    "classification.micro_f1": "grader.metrics.classification:micro_f1",
    "heatmaps.insertion_minus_deletion": "grader.metrics.evidence:insertion_minus_deletion",
    "heatmaps.sensitivity": "grader.metrics.evidence:sensitivity",
    "heatmaps.well_formed": "grader.metrics.evidence:well_formed",
    "layers.share_passed": "grader.metrics.evidence:share_passed",
    "segmentation.foreground_iou": "grader.metrics.segmentation:foreground_iou",
    "segmentation.dice": "grader.metrics.segmentation:dice",
}
