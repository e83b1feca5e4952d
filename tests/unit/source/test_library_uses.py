"""Which calls ask a library for weights trained elsewhere, and which only use its words."""

from __future__ import annotations

import pytest

from grader.source.facts import ModuleFacts
from grader.source.read import read_module


def facts_of(source: str) -> ModuleFacts:
    result = read_module(source.encode(), "a.py", (3, 11))
    assert isinstance(result, ModuleFacts)
    return result


@pytest.mark.parametrize(
    ("source", "text", "name"),
    [
        (
            "from torchvision.models import resnet18\nresnet18(pretrained=True)",
            "pretrained=True",
            "torchvision.models.resnet18",
        ),
        (
            "from torchvision import models as m\nm.resnet18(weights='DEFAULT')",
            'weights="DEFAULT"',
            "torchvision.models.resnet18",
        ),
        (
            "import torch\ntorch.hub.load('pytorch/vision', 'resnet18', weights='DEFAULT')",
            'weights="DEFAULT"',
            "torch.hub.load",
        ),
        (
            "import timm\ntimm.create_model('resnet18', pretrained=True)",
            "pretrained=True",
            "timm.create_model",
        ),
        (
            "import segmentation_models_pytorch as smp\nsmp.Unet(encoder_weights='imagenet')",
            'encoder_weights="imagenet"',
            "segmentation_models_pytorch.Unet",
        ),
        (
            "from torchvision.models import ResNet18_Weights\n"
            "from nets import build\nbuild(weights=ResNet18_Weights.DEFAULT)",
            "weights=ResNet18_Weights.DEFAULT",
            "torchvision.models.ResNet18_Weights.DEFAULT",
        ),
    ],
)
def test_weights_trained_elsewhere_are_found(source: str, text: str, name: str) -> None:
    (found,) = facts_of(source).pretrained
    assert (found.text, found.names) == (text, (name,))


@pytest.mark.parametrize(
    "source",
    [
        "from sklearn.metrics import cohen_kappa_score\ncohen_kappa_score(a, b, weights='quadratic')",
        "from sklearn.neighbors import KNeighborsClassifier as K\nK(weights='distance')",
        "import numpy as np\nnp.average(x, weights='w')",
        "from utils import load_model\nload_model(weights='resnet_model.pth')",
        "from models.resnet import ResNet\nResNet(2, 100, pretrained=True)",
        "from utils import *\nfrom torch.nn import *\nload_model(weights='best')",
        "def load_model(weights): ...\nload_model(weights='best')",
        "from torchvision.models import resnet18\nresnet18(weights=None, pretrained=False)",
        "import keras\nkeras.applications.ResNet50(weights='mine.h5')",
        "from nets import SavedWeights, build\nbuild(weights=SavedWeights.best)",
    ],
)
def test_words_that_mean_something_else_are_left_alone(source: str) -> None:
    assert facts_of(source).pretrained == ()
