"""Ordinary student code is not accused; each fault is named with its file and line, and no other."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Mapping

import pytest

from grader.assignments.load import load_assignment
from grader.findings import CATALOGUE
from grader.model import Finding, Severity
from grader.stages.check_source import check_source

A2 = load_assignment("ail721-a2")

TRAIN = """
    import json
    import os
    import sys
    import torch
    import torch.nn as nn
    from torchvision import datasets, transforms

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def train(data_dir, out_dir):
        data = datasets.ImageFolder(data_dir, transforms.ToTensor())
        with open("class_labels.json", "w") as f:
            json.dump(data.classes, f)
        net = nn.Conv2d(3, 32, 3).to(device)
        torch.save(net.state_dict(), os.path.join(out_dir, "resnet_model.pth"))

    if __name__ == "__main__":
        train(sys.argv[1], sys.argv[2])
"""
EVALUATE = """
    import csv
    import os
    import sys
    import torch

    def main():
        state = torch.load(sys.argv[1], map_location="cpu")
        with open("submission.csv", "w", newline="") as f:
            csv.writer(f).writerow(["image_name", "label"])
        os.makedirs("seg_maps", exist_ok=True)

    if __name__ == "__main__":
        main()
"""


def _findings(layout_of, files: Mapping[str, str | bytes], **kwargs) -> tuple[Finding, ...]:
    ready = {
        name: textwrap.dedent(text) if isinstance(text, str) else text
        for name, text in {"train.py": TRAIN, "evaluate.py": EVALUATE, **files}.items()
    }
    return check_source(layout_of(ready, **kwargs), A2)


def _said(findings: tuple[Finding, ...]) -> list[tuple[str, str]]:
    return [(finding.code, str(finding.place)) for finding in findings]


# --------------------------------------------------------------------------- innocents

INNOCENT: dict[str, Mapping[str, str]] = {
    "the plain pair": {},
    "everything in one script, argparse at the top": {
        "evaluate.py": """
            import torch, torch.nn as nn, os, cv2, csv, json, argparse
            import numpy as np
            from PIL import Image
            from torch.utils.data import Dataset, DataLoader
            from torchvision import transforms

            parser = argparse.ArgumentParser()
            parser.add_argument("--model_ckpt", type=str, required=True)
            parser.add_argument("--test_imgs", default="/home/asha/a2/test", help="~/a2/test")
            args = parser.parse_args()
            torch.manual_seed(420)
            device = torch.device(
                "cuda" if torch.cuda.is_available()
                else "mps" if torch.backends.mps.is_available() else "cpu"
            )
            with open("class_labels.json", "r") as f:
                class_labels = json.load(f)
            os.makedirs("seg_maps", exist_ok=True)

            class Images(Dataset):
                def __init__(self, root_dir, transform=None):
                    self.root_dir = root_dir
                    self.images = [f for f in os.listdir(root_dir) if f.endswith(".jpg")]
                def __len__(self):
                    return len(self.images)
                def __getitem__(self, idx):
                    path = os.path.join(self.root_dir, self.images[idx])
                    return Image.open(path).convert("RGB")

            def eval(model, loader):
                model.eval()
                with torch.no_grad():
                    for images, names in loader:
                        out = model(images.to(device))
            def write(rows, path="submission.csv"):
                with open(path, "w") as f:
                    csv.writer(f).writerows(rows)
            eval(nn.Identity(), DataLoader(Images(args.test_imgs)))
            write([])
        """,
        "class_labels.json": "{}",
    },
    "helpers, packages, relative imports, optional libraries": {
        "evaluate.py": """
            import sys
            from pathlib import Path
            sys.path.append(str(Path(__file__).parent))
            from models import resnet
            from models.blocks import Block
            from utils import *
            try:
                from tqdm import tqdm
            except ImportError:
                tqdm = lambda items, **_: items
            HERE = Path(__file__).resolve().parent
            if __name__ == "__main__":
                names = (HERE / "names.txt").read_text().split()
        """,
        "names.txt": "OWL",
        "models/__init__.py": "from .blocks import Block\n",
        "models/blocks.py": "from torch import nn\nclass Block(nn.Module): ...\n",
        "models/resnet.py": """
            import torch
            from models.blocks import Block
            def resnet14(pretrained=False):
                return Block()
            if __name__ == "__main__":
                import torchsummary
                net = resnet14().cuda()
                print(torchsummary.summary(net, (3, 224, 224)), open("/home/me/x"))
        """,
        "utils.py": """
            import matplotlib
            matplotlib.use("Agg")
            import matplotlib.pyplot as plt
            from mpl_toolkits.axes_grid1 import ImageGrid
            def leftover():
                '''Nothing calls this.'''
                return open("notes_of_mine.txt").read(), "/home/asha/x", device.cuda()
            def plot(losses, name="loss.png"):
                plt.plot(losses)
                plt.savefig(name)
        """,
    },
    "evaluate takes the network from train": {
        "evaluate.py": """
            import argparse
            import torch
            import torchvision
            import torchvision.transforms.functional as TF
            from train import train
            def get_args():
                p = argparse.ArgumentParser()
                p.add_argument("ckpt")
                p.add_argument("--device", default="cuda")
                return p.parse_args()
            class GradCAM:
                def __call__(self, x):
                    return x.cuda() if x.is_cuda else x
            if __name__ == "__main__":
                args = get_args()
                net = torch.nn.Identity()
                if torch.cuda.is_available():
                    net = net.cuda()
                    torch.cuda.empty_cache()
                state = torch.load(args.ckpt, map_location=lambda s, l: s)
        """
    },
    "ready for files that may be absent": {
        "evaluate.py": """
            import json, os, sys
            import numpy as np
            def load_names(path="class_names.json"):
                if not os.path.exists(path):
                    return None
                return json.load(open(path))
            def load_stats():
                try:
                    return np.load("stats.npy")
                except (FileNotFoundError, ValueError):
                    return None
            if os.path.isfile("extra.json"):
                extra = json.load(open("extra.json"))
            cache = {}
            with open("cache.json", "w") as f:
                json.dump(cache, f)
            cache = json.load(open("cache.json"))
            print(load_names(), load_stats())
            print(load_names(sys.argv[1]))
        """,
    },
    "parameters and names of the student's own": {
        "evaluate.py": """
            import torch
            from net import Net
            def run(model, requests, socket, subprocess):
                subprocess.run(requests.get(socket))
                return model.system("x"), model.hub.load("y")
            class os:
                @staticmethod
                def system(x): ...
            os.system("x")
            models = {"resnet": Net}
            net = models["resnet"](pretrained=True, weights="DEFAULT")
            exec_time = compile_model = None
            getattr(torch, "relu")
            getattr(net, "forward")(1)
        """,
        "net.py": "class Net:\n    def __init__(self, **options): ...\n",
    },
    "a loader and a network of the student's own": {
        "evaluate.py": """
            from utils import load_model
            from models.resnet import ResNet
            net = ResNet(2, 100, pretrained=True)
            net = load_model(weights="best")
        """,
        "utils.py": "def load_model(weights): ...\n",
        "models/resnet.py": "class ResNet:\n    def __init__(self, *args, **options): ...\n",
    },
    "a module of the student's own that is called as a library is": {
        "evaluate.py": "from timm import build\nbuild(pretrained=True, weights='DEFAULT')\n",
        "timm.py": "def build(**options): ...\n",
    },
    "imports that the course's run never comes to": {
        "evaluate.py": """
            import importlib.util, os, sys
            IN_COLAB = "google.colab" in sys.modules
            HOSTED = "KAGGLE_KERNEL_RUN_TYPE" in os.environ
            WINDOWS = os.name == "nt"
            if IN_COLAB:
                from google.colab import drive
                drive.mount("x")
            if HOSTED or IN_COLAB:
                import kaggle_secrets
            if not WINDOWS:
                root = "x"
            else:
                import win32api
            if sys.platform == "win32":
                import winshell
            elif sys.platform == "darwin":
                import AppKit
            if not sys.platform.startswith("linux"):
                import pywin
            if False:
                import old_network
            if sys.version_info >= (3, 11):
                import tomllib
            else:
                import my_toml
            if importlib.util.find_spec("my_bar"):
                from my_bar import bar
            if __package__:
                from .net import Net
            else:
                from net import Net
            def plot():
                import pywt
                from .plots import curve
        """,
        "net.py": """
            class Net: ...
            class Trial:
                def run(self):
                    import my_logger
            if __name__ == "__main__":
                import my_timer
        """,
    },
    "files that the program has written itself by then": {
        "evaluate.py": """
            import json, logging, os, shutil, sys
            import numpy as np
            import torchvision
            from saving import dump
            RESUME = False
            logging.basicConfig(filename="run.log")
            def save_all(path, value):
                with open(path, "w") as file:
                    json.dump(value, file)
            np.savez_compressed("features.npz", a=1)
            np.load("features.npz")
            np.save("mean", np.zeros(3))
            np.load("mean.npy")
            shutil.copy2("features.npz", "again.npz")
            np.load("again.npz")
            open("state.tmp", "w").write("{}")
            os.replace("state.tmp", "state.json")
            json.load(open("state.json"))
            save_all("names.json", ["a"])
            json.load(open("names.json"))
            dump(path="order.json", value=1)
            json.load(open("order.json"))
            for epoch in range(3):
                np.save(f"epoch_{epoch}.npy", np.zeros(3))
            np.load("epoch_2.npy")
            torchvision.utils.save_image(x, "grid.png")
            open("grid.png", "rb")
            print(open("run.log").read())
            os.makedirs("cache", exist_ok=True)
            print(os.listdir("cache"), os.listdir("seg_maps"))
            for folder in ("one", "two"):
                os.makedirs(os.path.join("out", folder))
            print(os.listdir("out/one"))
            if RESUME:
                np.load("last.npy")
        """,
        "saving.py": """
            from pathlib import Path
            def dump(value, path):
                Path(path).write_text(str(value))
        """,
    },
    "folders and files of its own that are in the zip": {
        "evaluate.py": """
            import configparser, glob, importlib.util, os, sys
            from pathlib import Path
            spec = importlib.util.spec_from_file_location("resnet", "nets/resnet.py")
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            configparser.ConfigParser().read("config.ini")
            print(os.listdir("classes"), glob.glob("none/*.npy"), os.listdir("."))
            names = (Path(sys.argv[1]).parent / "names.txt").read_text()
        """,
        "nets/resnet.py": "x = 1\n",
        "classes/OWL/about.txt": "",
        "out/names.txt": "",
    },
    "a module on a longer search path": {
        "evaluate.py": """
            import os, sys
            HERE = os.path.dirname(os.path.abspath(__file__))
            SRC = os.path.join(HERE, "src", "nets")
            sys.path.insert(0, SRC)
            from resnet import ResNet
        """,
        "src/nets/resnet.py": "class ResNet: ...\n",
    },
    "what only the command line can say": {
        "evaluate.py": """
            import json, os, sys
            from pathlib import Path
            stats = json.load(open(os.path.join(sys.argv[1], "stats.json")))
            names = (Path(sys.argv[1]).parent / "class_labels.json").read_text()
        """,
        "class_labels.json": "{}",
    },
    "no checkpoint in the zip: the course retrains": {
        "evaluate.py": "import torch\nstate = torch.load('resnet_model.pth')\n",
    },
    "a script of Windows and an old encoding": {
        "evaluate.py": "\ufeffimport sys\r\nprint(sys.argv[1])\r\n",
        "helper.py": "# -*- coding: utf-8 -*-\nname = 'größe'\n",
    },
    "test images by class folder, defaults of a config": {
        "evaluate.py": """
            import os, sys, random, time, glob
            from dataclasses import dataclass
            from collections import defaultdict
            @dataclass
            class Config:
                root: str = sys.argv[2] if len(sys.argv) > 2 else "/kaggle/input/butterflies"
            cfg = Config()
            for folder in sorted(os.listdir(cfg.root)):
                for path in glob.glob(os.path.join(cfg.root, folder, "*.jpg")):
                    print(path)
        """,
    },
}


@pytest.mark.parametrize("name", INNOCENT)
def test_ordinary_code_is_not_accused(layout_of, name: str) -> None:
    findings = _findings(layout_of, INNOCENT[name])
    assert [(finding.code, finding.message) for finding in findings] == []


# --------------------------------------------------------------------------- faults

FAULTS: dict[str, tuple[Mapping[str, str | bytes], list[tuple[str, str]]]] = {
    "a forbidden network, imported": (
        {"evaluate.py": "from torchvision import models\nnet = models.resnet18()\n"},
        [("source.forbidden-import", "evaluate.py:1")],
    ),
    "a forbidden network under another name": (
        {"evaluate.py": "import torchvision as tv\nm = tv.models\nnet = m.resnet18()\n"},
        [("source.forbidden-import", "evaluate.py:2")],
    ),
    "a forbidden network by getattr": (
        {"evaluate.py": "import torchvision\nnet = getattr(torchvision, 'models').resnet18()\n"},
        [("source.forbidden-import", "evaluate.py:2")],
    ),
    "a forbidden network by import_module": (
        {"evaluate.py": "import importlib\nimportlib.import_module('torchvision.models')\n"},
        [("source.forbidden-import", "evaluate.py:2")],
    ),
    "a forbidden import hidden in a helper's function": (
        {
            "evaluate.py": "from lib.nets import build\nbuild()\n",
            "lib/__init__.py": "",
            "lib/nets.py": "def build():\n    import timm\n    return timm.create_model('x')\n",
        },
        [("source.forbidden-import", "lib/nets.py:2")],
    ),
    "a forbidden import in a file that nothing needs": (
        {"old/try.py": "import timm\n"},
        [("source.forbidden-unused", "old/try.py:1")],
    ),
    "a forbidden import behind try": (
        {"evaluate.py": "try:\n    import timm\nexcept ImportError:\n    timm = None\n"},
        [("source.forbidden-import", "evaluate.py:2")],
    ),
    "torch.hub": (
        {"evaluate.py": "import torch\nnet = torch.hub.load('pytorch/vision', 'resnet18')\n"},
        [("source.forbidden-call", "evaluate.py:2")],
    ),
    "a forbidden import in a helper's own trial run": (
        {
            "evaluate.py": "import net\n",
            "net.py": "if __name__ == '__main__':\n    from torchvision import models\n",
        },
        [("source.forbidden-unused", "net.py:2")],
    ),
    "a network": (
        {"evaluate.py": "from urllib import request\nrequest.urlopen('http://x')\n"},
        [("source.network", "evaluate.py:2")],
    ),
    "another program": (
        {"evaluate.py": "import os\nos.system('python train.py')\n"},
        [("source.subprocess", "evaluate.py:2")],
    ),
    "weights trained elsewhere": (
        {
            "evaluate.py": "from torchvision.models import resnet18\n"
            "net = resnet18(pretrained=True)\nnet = resnet18(weights='IMAGENET1K_V1')\n"
            "net = resnet18(weights=None, pretrained=False)\n"
        },
        [
            ("source.forbidden-import", "evaluate.py:1"),
            ("source.pretrained", "evaluate.py:2"),
            ("source.pretrained", "evaluate.py:3"),
        ],
    ),
    "a library that is not on the list": (
        {"train.py": "import pandas as pd\nfrom sklearn.metrics import f1_score\n"},
        [("source.unknown-import", "train.py:1"), ("source.unknown-import", "train.py:2")],
    ),
    "a module left out of the zip that only an option asks for": (
        {"train.py": "import sys\nif sys.argv[3:]:\n    from make_plot import plot\n"},
        [("source.missing-conditional-module", "train.py:3")],
    ),
    "a module left out of the zip that is imported with and without a condition": (
        {"train.py": "import sys\nif sys.argv[3:]: import plots\nimport plots\n"},
        [
            ("source.missing-conditional-module", "train.py:2"),
            ("source.missing-local-module", "train.py:3"),
        ],
    ),
    "a module left out of the zip that is imported off the author's machine": (
        {
            "train.py": "import sys\nif sys.platform == 'win32':\n    import paths\n"
            "else:\n    import linux_paths\n"
        },
        [("source.missing-conditional-module", "train.py:5")],
    ),
    "a part of torchvision that is not on the list": (
        {"train.py": "from torchvision import ops, transforms\n"},
        [("source.unknown-import", "train.py:1")],
    ),
    "a module left out of the zip": (
        {"train.py": "from make_plot import *\n"},
        [("source.missing-local-module", "train.py:1")],
    ),
    "a module of a package left out": (
        {"train.py": "from models.sam import SAM\n", "models/__init__.py": ""},
        [("source.missing-local-module", "train.py:1")],
    ),
    "a relative import in a script": (
        {"train.py": "from .net import Net\n", "net.py": ""},
        [("source.relative-import", "train.py:1")],
    ),
    "the class names left out": (
        {"evaluate.py": "import json\nnames = json.load(open('class_labels.json'))\n"},
        [("source.opens-missing-file", "evaluate.py:2")],
    ),
    "the class names read by a helper's default": (
        {
            "evaluate.py": "from labels import load\nnames = load()\n",
            "labels.py": "import json\ndef load(path='names.json'):\n    return json.load(open(path))\n",
        },
        [("source.opens-missing-file", "labels.py:3")],
    ),
    "the class names beside the checkpoint": (
        {
            "train.py": "import sys\nfrom pathlib import Path\n"
            "(Path(sys.argv[2]) / 'class_names.json').write_text('[]')\n",
            "evaluate.py": "import sys\nfrom pathlib import Path\n"
            "x = (Path(sys.argv[1]).parent / 'class_names.json').read_text()\n",
        },
        [("source.may-lack-file", "evaluate.py:3")],
    ),
    "the class names, which a shared helper could write": (
        {
            "train.py": "import sys\nfrom names import save\nsave(sys.argv[2])\n",
            "evaluate.py": "import sys\nfrom names import load\nload(sys.argv[1])\n",
            "names.py": "import os\n"
            "def save(folder):\n    open(os.path.join(folder, 'names.json'), 'w')\n"
            "def load(path):\n    open(os.path.join(os.path.dirname(path), 'names.json'))\n",
        },
        [("source.may-lack-file", "names.py:5")],
    ),
    "a file that the program writes or does not": (
        {
            "evaluate.py": "def save(make):\n    open(make(), 'w')\nsave(names)\n"
            "open('stats.json')\n"
        },
        [("source.may-lack-file", "evaluate.py:4")],
    ),
    "a file that another program writes under names that are known": (
        {
            "evaluate.py": "import cv2, numpy as np, sys\n"
            "for n in range(9):\n    np.save(f'epoch_{n}.npy', n)\n"
            "def mask(path):\n    cv2.imwrite(path, 1)\nmask(make())\nopen(sys.argv[2], 'w')\n"
            "open('stats.json')\n"
        },
        [("source.opens-missing-file", "evaluate.py:8")],
    ),
    "a folder left out": (
        {"evaluate.py": "import os\nnames = sorted(os.listdir('classes'))\n"},
        [("source.may-lack-file", "evaluate.py:2")],
    ),
    "a module loaded by its path and left out": (
        {
            "evaluate.py": "import importlib.util as u\n"
            "u.spec_from_file_location('resnet', 'nets/resnet.py')\n"
        },
        [("source.opens-missing-file", "evaluate.py:2")],
    ),
    "something forbidden in a module loaded by its path": (
        {
            "evaluate.py": "import runpy\nrunpy.run_path('nets/resnet.py')\n",
            "nets/resnet.py": "import timm\n",
        },
        [("source.forbidden-import", "nets/resnet.py:1")],
    ),
    "a file beside the folder": (
        {"evaluate.py": "x = open('../stats.txt')\n"},
        [("source.opens-missing-file", "evaluate.py:1")],
    ),
    "a path of a laptop that no option of the course overrides": (
        {
            "evaluate.py": """
                import argparse, os
                parser = argparse.ArgumentParser()
                parser.add_argument("--model_ckpt", default="/home/asha/best.pth")
                parser.add_argument("--test_imgs", default="/home/asha/test")
                parser.add_argument("--classes_from", default="/home/asha/train")
                args = parser.parse_args()
                print(args.model_ckpt, args.test_imgs, os.listdir(args.classes_from))
            """
        },
        [("source.absolute-path", "evaluate.py:6")],
    ),
    "a path of a laptop that every call takes": (
        {
            "evaluate.py": """
                import os
                def classes(folder="/home/asha/train"):
                    return sorted(os.listdir(folder))
                def images(folder="/home/asha/test"):
                    return sorted(os.listdir(folder))
                def other(folder="/home/asha/other"):
                    return sorted(os.listdir(folder))
                print(classes(), images("x"))
            """
        },
        [("source.absolute-path", "evaluate.py:3")],
    ),
    "a GPU unless an option says otherwise": (
        {
            "evaluate.py": """
                import argparse, torch
                parser = argparse.ArgumentParser()
                parser.add_argument("--device", default="cuda")
                args = parser.parse_args()
                torch.load("resnet_model.pth", map_location=args.device)
            """
        },
        [("source.hardcoded-cuda", "evaluate.py:6")],
    ),
    "paths of a laptop": (
        {"train.py": "data = '/home/asha/data'\nout = 'C:\\\\Users\\\\asha\\\\out'\n"},
        [("source.absolute-path", "train.py:1"), ("source.absolute-path", "train.py:2")],
    ),
    "a GPU taken for granted": (
        {"evaluate.py": "import torch\nnet = torch.nn.Identity().cuda()\nx = net.to('cuda')\n"},
        [("source.hardcoded-cuda", "evaluate.py:2")],
    ),
    "train.py reads the command line while evaluate.py imports it": (
        {
            "evaluate.py": "from train import Net\n",
            "train.py": "import sys\ndata = sys.argv[1]\nclass Net: ...\n",
        },
        [("source.argv-at-import", "train.py:2")],
    ),
    "Python 2": (
        {"train.py": "import sys\nprint 'training'\n"},
        [("source.syntax", "train.py:2")],
    ),
    "a syntax error in a helper": (
        {"train.py": "import helper\n", "helper.py": "\n\ndef f(:\n"},
        [("source.syntax", "helper.py:3")],
    ),
    "a syntax error in a file that nothing needs": (
        {"scratch.py": "def f(:\n"},
        [("source.syntax-unused", "scratch.py:1")],
    ),
    "a notebook, which the layout names": ({"a2.ipynb": "{}"}, []),
    "a file too large to be source": (
        {"train.py": "import blob\n", "blob.py": "x = '" + "a" * 300_000 + "'\n"},
        [("source.not-read", "blob.py")],
    ),
    "a module whose name is computed": (
        {"train.py": "import importlib, sys\nimportlib.import_module(sys.argv[3])\n"},
        [("source.dynamic-import", "train.py:2")],
    ),
    "bytes": ({"train.py": b"\0\xff\xfe"}, [("source.syntax", "train.py:1")]),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_and_no_other(layout_of, name: str) -> None:
    files, wanted = FAULTS[name]
    assert _said(_findings(layout_of, files)) == wanted


def test_every_code_of_this_stage_is_met_by_a_fault_above() -> None:
    tried = {code for _, wanted in FAULTS.values() for code, _ in wanted}
    codes = {code for code in CATALOGUE if code.startswith("source.")}
    assert tried == codes


def test_kinds_of_rules_pick_the_code_and_reasons_are_passed_on(layout_of) -> None:
    table = {
        "forbidden_calls": [{"call": "eval", "why": "strings are no code"}],
        "forbidden_imports": [{"module": "requests", "kind": "network"}],
    }
    assignment = dataclasses.replace(A2, source={"source_rules": table})
    layout = layout_of({"evaluate.py": "import requests\neval('1')\n"})
    network, call = check_source(layout, assignment)
    assert (network.code, call.code) == ("source.network", "source.forbidden-call")
    assert call.message.startswith("evaluate.py calls eval(), which this assignment forbids: ")
    assert "strings are no code" in call.message


# --------------------------------------------------------------------------- words


def _one(layout_of, files: Mapping[str, str | bytes]) -> Finding:
    (finding,) = _findings(layout_of, files)
    return finding


def test_a_missing_file_that_train_writes_is_said_to_be(layout_of) -> None:
    finding = _one(
        layout_of, {"evaluate.py": "import json\nx = json.load(open('class_labels.json'))\n"}
    )
    assert finding.message == (
        "evaluate.py opens class_labels.json, which is not in the zip; train.py writes it: "
        "put it into the zip"
    )
    assert finding.severity is Severity.ERROR


@pytest.mark.parametrize(
    ("path", "files", "words"),
    [
        ("names.JSON", {"names.json": ""}, "names.json differs only in capitals"),
        ("names.json", {"data/names.json": ""}, "data/names.json lies elsewhere"),
        ("data\\\\names.json", {"data/names.json": ""}, "with / instead of"),
        ("../names.json", {}, "outside the submission"),
    ],
)
def test_near_misses_are_pointed_out(layout_of, path: str, files, words: str) -> None:
    assert words in _one(layout_of, {"evaluate.py": f"open('{path}')\n", **files}).message


def test_a_module_in_other_capitals_is_pointed_out(layout_of) -> None:
    finding = _one(layout_of, {"evaluate.py": "from Model import Net\n", "model.py": ""})
    assert "model.py differs only in capitals" in finding.message


def test_the_script_that_needs_a_helper_is_named(layout_of) -> None:
    finding = _one(
        layout_of, {"evaluate.py": "import nets\n", "nets.py": "from torchvision import models\n"}
    )
    assert "(evaluate.py needs this file)" in finding.message
    assert "written from scratch" in finding.message


def test_several_lines_are_one_finding(layout_of) -> None:
    finding = _one(layout_of, {"evaluate.py": "x.cuda()\n" * 9})
    assert finding.message.endswith("(also lines 2, 3, 4, 5, 6 and 3 more)")
    assert finding.evidence["lines"] == list(range(1, 10))


def test_paths_are_those_below_a_wrapping_folder(layout_of) -> None:
    findings = _findings(
        layout_of, {"evaluate.py": "import helper\n", "helper.py": "x.cuda()\n"}, base="2023AIB2080"
    )
    assert _said(findings) == [("source.hardcoded-cuda", "helper.py:1")]


def test_findings_come_in_the_same_order_every_time(layout_of) -> None:
    files = {
        "evaluate.py": "import b, a, timm\nopen('x')\nopen('y')\n/0\n".replace("/0\n", ""),
        "a.py": "import timm\n",
        "b.py": "import timm\nx.cuda()\n",
    }
    said = _said(_findings(layout_of, files))
    assert said == sorted(said, key=lambda item: item[1])
    assert said == _said(_findings(layout_of, dict(reversed(files.items()))))


def test_names_that_a_terminal_would_obey_are_shown_harmlessly(layout_of) -> None:
    finding = _one(layout_of, {"evaluate.py": "open('\\x1b[2Jx')\n"})
    assert "\x1b" not in finding.message


def test_without_any_script_there_is_nothing_to_say(layout_of) -> None:
    assert check_source(layout_of({"notes.txt": ""}), A2) == ()


def test_what_another_script_writes_beside_the_checkpoint_has_to_be_packed(layout_of) -> None:
    files, _ = FAULTS["the class names beside the checkpoint"]
    finding = _one(layout_of, files)
    assert finding.message == (
        "evaluate.py opens class_names.json, which is not in the zip; train.py writes it: "
        "put it into the zip"
    )
    assert finding.severity is Severity.WARNING


def test_a_comment_that_is_not_utf_8_is_a_fault_of_what_is_run_and_not_of_what_is_imported(
    layout_of,
) -> None:
    comment = b"import sys\n# caf\xe9: 5 \xb0 turned\n"
    (finding,) = _findings(layout_of, {"evaluate.py": comment + b"print(sys.argv[1:])\n"})
    assert (finding.code, str(finding.place)) == ("source.syntax", "evaluate.py:2")
    assert "not UTF-8" in finding.message
    main = textwrap.dedent(EVALUATE).replace("import csv", "import csv, helpers").encode()
    assert _findings(layout_of, {"evaluate.py": main, "helpers.py": comment}) == ()
