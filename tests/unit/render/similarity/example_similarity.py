"""A made-up comparison of a class, with everything that a page can show."""

from __future__ import annotations

from grader.findings import found
from grader.similarity.model import (
    Channel,
    ClassSimilarity,
    Cluster,
    Evidence,
    Pair,
    Region,
    SourceText,
    SourceTree,
    Span,
    Strength,
    SubmissionSummary,
    Threshold,
)

_STARTER = '''"""Train a network on butterflies."""

import argparse
from pathlib import Path


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("train_dir", type=Path)
    parser.add_argument("checkpoint_dir", type=Path)
    return parser.parse_args()
'''
_BLOCK = """
class Block(nn.Module):
    def __init__(self, {i}, {o}, stride=1):
        super().__init__()
        self.{c}1 = nn.Conv2d({i}, {o}, 3, stride, 1, bias=False)
        self.{c}2 = nn.Conv2d({o}, {o}, 3, 1, 1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d({o}), nn.BatchNorm2d({o})
        self.short = nn.Conv2d({i}, {o}, 1, stride) if stride != 1 else nn.Identity()

    def forward(self, {x}):
        y = F.relu(self.norm1(self.{c}1({x})))
        return F.relu(self.norm2(self.{c}2(y)) + self.short({x}))
"""
_LOOP = """
def {f}(model, loader, optimizer, epochs):
    best = 0.0
    for {e} in range(epochs):
        model.train()
        for images, labels in loader:
            loss = F.cross_entropy(model(images), labels, label_smoothing=0.1)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        best = max(best, validate(model))
    return best
"""
_SALIENCY = """
def {f}(model, image):
    image = image.clone().requires_grad_(True)
    score = model(image[None]).max()
    score.backward()
    return image.grad.abs().amax(0)
"""
_OWN_LEFT = "\n".join(f"def step_{n}(x):\n    return x * {n} + {n % 7}\n\n" for n in range(12))
_OWN_RIGHT = "\n".join(
    f"class Part{n}:\n    size = {n}\n\n    def grow(self):\n        self.size += {n}\n\n"
    for n in range(9)
)


def _left() -> SourceTree:
    block = _BLOCK.format(i="inp", o="out", c="conv", x="x")
    train = _STARTER + block + _OWN_LEFT + _LOOP.format(f="train", e="epoch")
    masks = _SALIENCY.format(f="saliency")
    return SourceTree(
        "2023AIB2080",
        (
            SourceText("masks.py", masks),
            SourceText("notes.py", "print('nothing of this is matched')\n" * 3),
            SourceText("train.py", train),
        ),
    )


def _right(hostile: str = "") -> SourceTree:
    masks = _SALIENCY.format(f="grad_map")
    block = _BLOCK.format(i="a", o="b", c="layer", x="inputs")
    text = _STARTER + masks + _OWN_RIGHT + _LOOP.format(f="fit", e="k") + "\n" + block
    if hostile:
        text += f"# {hostile}\n"
    return SourceTree("2023AIB2114", (SourceText("main.py", text),))


def _span(tree: SourceTree, path: str, start: str, lines: int) -> Span:
    text = next(text.text for text in tree.texts if text.path == path)
    first = text[: text.index(start)].count("\n") + 1
    return Span(path, first, first + lines - 1)


def sources(hostile: str = "") -> dict[str, SourceTree]:
    trees = (_left(), _right(hostile))
    return {tree.name: tree for tree in trees}


def _regions(left: SourceTree, right: SourceTree) -> tuple[Region, ...]:
    return (
        Region(
            _span(left, "train.py", "class Block", 11),
            _span(right, "main.py", "class Block", 11),
            0.48,
            moved=True,
        ),
        Region(
            _span(left, "train.py", "def train", 12), _span(right, "main.py", "def fit", 12), 0.37
        ),
        Region(
            _span(left, "masks.py", "def saliency", 5),
            _span(right, "main.py", "def grad_map", 5),
            0.15,
        ),
    )


def first_pair(hostile: str = "") -> Pair:
    trees = sources(hostile)
    left, right = trees["2023AIB2080"], trees["2023AIB2114"]
    said = hostile or "32 of 36 functions match"
    return Pair(
        "2023AIB2080",
        "2023AIB2114",
        0.87,
        True,
        (
            Evidence(
                Channel.SOURCE,
                "code.similar",
                Strength.STRONG,
                f"87 % of the smaller one's own code is in the other, names changed: {said}.",
                "How much of the smaller submission's own code is in the other, base code left out.",
                "Among 1,770 pairs of this class, 0.02 would reach it by chance.",
                0.87,
                "share",
                regions=_regions(left, right),
            ),
            Evidence(
                Channel.CHECKPOINT,
                "checkpoint.reordered",
                Strength.STRONG,
                "The two networks have the same weights with their channels in another order; as "
                "they stand, their weights look unrelated (cosine 0.01).",
                "Mean cosine of the weights after the channels were put into the best order.",
                "Networks trained apart reach 0.1 to 0.4; none of those measured reached 0.6.",
                0.9981,
                "cosine",
                direction="left",
                details={
                    "layers": [
                        {
                            "left": f"layer{n}.conv1.weight",
                            "right": f"net.{n}.weight",
                            "cosine": 0.01 * n,
                        }
                        for n in range(1, 9)
                    ]
                },
            ),
            Evidence(
                Channel.PREDICTIONS,
                "predictions.shared-mistakes",
                Strength.WEAK,
                "Of 500 images, 61 and 58 are answered wrongly, and 47 of these wrongly in the same "
                "way; strangers who err as often would share about 9.3.",
                "Shared mistakes over all mistakes that either of the two makes.",
                "0.1 to 0.5 between networks trained apart.",
                0.6528,
                "overlap",
            ),
            Evidence(
                Channel.ZIP,
                "zip.same-files",
                Strength.WEAK,
                "2 files are equal, byte for byte.",
                "Files that hardly anybody else has.",
                "Images and configuration files taken from one place are equal too.",
                details={
                    "files": [
                        {
                            "left": "plots/loss.png",
                            "right": "figures/loss.png",
                            "what": "equal bytes",
                        }
                    ]
                },
            ),
        ),
    )


def example_similarity(hostile: str = "", *, students: int = 18) -> ClassSimilarity:
    """A class of `students`: one pair with everything, a cluster of three, a shared seed, a pair
    with a submission of an earlier year."""
    names = [f"2023AIB{2080 + 2 * n}" for n in range(students)]
    if hostile:
        names[5] = hostile
    seed = Evidence(
        Channel.CHECKPOINT,
        "checkpoint.shared-start",
        Strength.CONTEXT,
        "Shared seed? The two networks probably started from the same weights and were trained apart.",
        "Cosine of all weights of the two networks.",
        "Networks that started from one seed stay between 0.5 and 0.9.",
        0.71,
        "cosine",
    )
    weak = Evidence(
        Channel.SOURCE,
        "code.similar",
        Strength.STRONG,
        "55 % of the smaller one's own code is in the other.",
        "How much of the smaller submission's own code is in the other.",
        "Among 1,770 pairs of this class, 0.4 would reach it by chance.",
        0.55,
        "share",
    )
    trio = (names[2], names[4], names[7])
    pairs = [
        first_pair(hostile),
        *(
            Pair(*sorted((trio[i], trio[j])), 0.62 - 0.05 * (i + j), True, (weak,))
            for i, j in ((0, 1), (1, 2), (0, 2))
        ),
        Pair(names[3], "2022-A1-0099", 0.51, True, (weak,), archived=True),
        Pair(*sorted((names[9], names[5])), 0.31, False, (seed,)),
    ]
    summaries = [
        SubmissionSummary(
            name,
            3,
            240 + 7 * number,
            0.7,
            base_spans=(Span("train.py", 1, 11),)
            if number == 0
            else ((Span("main.py", 1, 11),) if name == "2023AIB2114" else ()),
            findings=(
                found(
                    "zip.other-entry-number",
                    f"2023AIB2080 stands in a comment{hostile}",
                    path="main.py",
                    line=12,
                ),
            )
            if name == "2023AIB2114"
            else (),
        )
        for number, name in enumerate(names)
    ]
    scores = {
        (names[i], names[j]): round(0.02 + 0.23 * ((i * 7 + j * 13) % 17) / 17, 3)
        for i in range(students)
        for j in range(i + 1, students)
        if names[i] < names[j] and (i + j) % 3
    }
    return ClassSimilarity(
        submissions=tuple(summaries),
        pairs=tuple(pairs),
        clusters=(
            Cluster(trio, tuple(pair.key for pair in pairs[1:4]), 0.57),
            Cluster(("2023AIB2080", "2023AIB2114"), (pairs[0].key,), 0.87),
        ),
        threshold=Threshold(
            0.44, 0.05, students * (students - 1) // 2, "the class's own scores end there"
        ),
        scores=scores,
        notes=("One submission could not be read and was left out.",),
    )
