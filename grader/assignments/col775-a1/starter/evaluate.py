"""python evaluate.py CHECKPOINT TEST_IMAGES_DIR

TEST_IMAGES_DIR holds only images, no class folders, with names that say nothing. Write into the
working directory:
    submission.csv        columns image_name,label; the label is the species' name
    heatmaps/<stem>.png   Grad-CAM of the predicted class over the last 2n layers, 64 × 64, grey
"""

import argparse
from pathlib import Path


def evaluate(checkpoint: Path, images_dir: Path) -> None:
    """Label every image of `images_dir` and write its heatmap.

    The folder of the checkpoint says which normalisation it was trained with. Load the weights
    with torch.load(checkpoint, map_location="cpu") and call model.eval() before you predict.
    """
    raise NotImplementedError("label the images here")


def main() -> None:
    parser = argparse.ArgumentParser(description="Label images and show what the network sees.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("images_dir", type=Path)
    arguments = parser.parse_args()
    evaluate(arguments.checkpoint, arguments.images_dir)


if __name__ == "__main__":
    main()
