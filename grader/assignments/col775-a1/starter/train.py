"""python train.py TRAIN_DIR CHECKPOINT_DIR --norm bn|in|bin|ln|gn|nn

TRAIN_DIR holds one folder per species, named after it, with its images inside. Write
CHECKPOINT_DIR/resnet_model.pth and CHECKPOINT_DIR/metrics.csv.
"""

import argparse
from pathlib import Path


def train(train_dir: Path, checkpoint_dir: Path, norm: str) -> None:
    """Train one variant and save its weights and its curves.

    Save plain weights, which load everywhere:
        torch.save(model.state_dict(), checkpoint_dir / "resnet_model.pth")
    into a folder of this variant alone: six experiments, six files.
    """
    raise NotImplementedError("train the network here")


def main() -> None:
    parser = argparse.ArgumentParser(description="Train one variant of the ResNet.")
    parser.add_argument("train_dir", type=Path)
    parser.add_argument("checkpoint_dir", type=Path)
    parser.add_argument("--norm", choices=["bn", "in", "bin", "ln", "gn", "nn"], required=True)
    arguments = parser.parse_args()
    arguments.checkpoint_dir.mkdir(parents=True, exist_ok=True)
    train(arguments.train_dir, arguments.checkpoint_dir, arguments.norm)


if __name__ == "__main__":
    main()
