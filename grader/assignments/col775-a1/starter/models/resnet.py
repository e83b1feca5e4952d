"""The ResNet of the assignment: 6n+2 layers, written from scratch.

- a 3×3 convolution from the image to 16 feature maps;
- n pairs of 3×3 convolutions with 16, n with 32 and n with 64 filters, a shortcut around each
  pair; the first convolution of the second and third group has stride 2;
- the mean of each feature map, and a fully connected layer with r outputs.
"""

from torch import Tensor, nn


class ResNet(nn.Module):
    """n pairs per group, r classes, `norm` after every convolution."""

    def __init__(self, n: int, r: int, norm: str) -> None:
        super().__init__()
        raise NotImplementedError("build the layers here")

    def forward(self, images: Tensor) -> Tensor:
        """images: (N, 3, 256, 256) float32 → logits: (N, r)"""
        raise NotImplementedError("apply the layers here")
