"""Predict and segment: python evaluate.py CHECKPOINT TEST_IMAGES_DIR [--recipe NAME] [options]"""

from __future__ import annotations

import sys

from command_line import run_recipe

if __name__ == "__main__":
    sys.exit(run_recipe("evaluate", __doc__ or ""))
