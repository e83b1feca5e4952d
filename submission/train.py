"""Train a network: python train.py TRAIN_DIR CHECKPOINT_DIR [--recipe NAME] [options]

On several GPUs: torchrun --nproc-per-node GPUS -- train.py TRAIN_DIR CHECKPOINT_DIR …
(the two dashes keep torchrun from taking --n for an abbreviation of its own options).
"""

from __future__ import annotations

import sys

from command_line import run_recipe

if __name__ == "__main__":
    sys.exit(run_recipe("train", __doc__ or ""))
