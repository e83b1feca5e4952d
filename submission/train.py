"""Train a network: python train.py TRAIN_DIR CHECKPOINT_DIR [--recipe NAME] [options]"""

from __future__ import annotations

import sys

from command_line import run_recipe

if __name__ == "__main__":
    sys.exit(run_recipe("train", __doc__ or ""))
