"""The grader's own architectures, for evaluating a checkpoint without the student's code.

`NETWORKS` names what a definition may ask for: name → "module:function", so that a definition can
be checked without importing torch.
"""

from __future__ import annotations

NETWORKS: dict[str, str] = {
    "resnet_6n2": "grader.networks.resnet_6n2:ResNet6n2",
}
