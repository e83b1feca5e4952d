"""python evaluate.py CHECKPOINT TEST_IMAGES_DIR

TEST_IMAGES_DIR holds only images, no class folders, with names that say nothing. Write into the
working directory:
    submission.csv          columns image_name,label; the label is the species' name
    seg_maps/<image name>   one mask per image, of the image's size, 0 background, 255 foreground
"""

import argparse
from pathlib import Path


def evaluate(checkpoint: Path, images_dir: Path) -> None:
    """Label and segment every image of `images_dir`.

    Load the weights with torch.load(checkpoint, map_location="cpu"), so that it also runs without
    a GPU. Call model.eval() before you predict.
    """
    raise NotImplementedError("label and segment the images here")


def main() -> None:
    parser = argparse.ArgumentParser(description="Label and segment images.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("images_dir", type=Path)
    arguments = parser.parse_args()
    evaluate(arguments.checkpoint, arguments.images_dir)


if __name__ == "__main__":
    main()
