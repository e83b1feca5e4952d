"""python train.py TRAIN_DIR CHECKPOINT_DIR

TRAIN_DIR holds one folder per species, named after it, with its images inside. There is no
validation set: split your own. Write CHECKPOINT_DIR/resnet_model.pth within one hour on one GPU.
"""

import argparse
from pathlib import Path


def train(train_dir: Path, checkpoint_dir: Path) -> None:
    """Train the network and save it.

    Save plain weights, which load everywhere:
        torch.save(model.state_dict(), checkpoint_dir / "resnet_model.pth")
    and the class names beside it: evaluate.py has no training folder to read them from.
    """
    raise NotImplementedError("train the network here")


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the ResNet.")
    parser.add_argument("train_dir", type=Path)
    parser.add_argument("checkpoint_dir", type=Path)
    arguments = parser.parse_args()
    arguments.checkpoint_dir.mkdir(parents=True, exist_ok=True)
    train(arguments.train_dir, arguments.checkpoint_dir)


if __name__ == "__main__":
    main()
