"""Options that several commands share, and the exit codes."""

from __future__ import annotations

from pathlib import Path

import click

EXIT_MET, EXIT_NOT_MET, EXIT_USAGE, EXIT_GRADER, EXIT_STOPPED = 0, 1, 2, 3, 130

DEFAULT_ASSIGNMENT = "ail721-a2"

PATH = click.Path(path_type=Path)

RESULTS = click.argument("results", metavar="RESULTS", type=PATH)
MASKS = click.option(
    "--gt",
    "masks",
    metavar="MASKS/",
    type=PATH,
    help="Ground-truth masks, e.g. MASKS/test; needed where the assignment measures masks.",
)
IMAGES = click.option(
    "--images",
    metavar="DIR",
    type=PATH,
    help="The hidden images. Default: the sibling tree with the masks' relative names; needed "
    "without --gt.",
)
LABELS = click.option(
    "--labels",
    metavar="CSV",
    type=PATH,
    help="Labels, columns image_name,label. Default: the class folders' names.",
)
CLASSES = click.option(
    "--classes",
    metavar="DIR|FILE",
    type=PATH,
    help="All class names in the order of the network's outputs: class folders or a list, "
    "one a line. Default: the definition's, where it covers the truth.",
)
NO_INDEPENDENT = click.option(
    "--no-independent", is_flag=True, help="Skip the checkpoint's own evaluation."
)
PROBE = click.option(
    "--probe",
    "probed",
    is_flag=True,
    help="Run the program again on renamed, re-encoded and mirrored images, and show what that "
    "changes. Costs two to four more runs, and no marks.",
)

ASSIGNMENT = click.option(
    "-a",
    "--assignment",
    default=DEFAULT_ASSIGNMENT,
    show_default=True,
    metavar="ID|PATH",
    help="The assignment: an id from `grader assignments list`, or a definition's folder or file.",
)
UNSAFE = click.option(
    "--unsafe-no-sandbox",
    is_flag=True,
    help="Run student code without isolation when no sandbox works; stamped into the report.",
)
BASE = click.option(
    "--base",
    type=PATH,
    multiple=True,
    metavar="STARTER",
    help="Code that was given out: a folder, zip or file; it counts for nobody. May be repeated.",
)
ARCHIVE = click.option(
    "--archive",
    type=PATH,
    multiple=True,
    metavar="FILE",
    help="Fingerprints of an earlier year to compare with as well (`grader similar "
    "--save-archive`). May be repeated.",
)

FORMATS = ("text", "json", "junit", "github", "sarif")
FORMAT = click.option(
    "--format",
    "style",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="How the findings are printed; `github` also writes the step's summary.",
)
