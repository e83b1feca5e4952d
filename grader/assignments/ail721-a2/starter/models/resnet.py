"""The ResNet of the assignment: 6n+2 layers, written from scratch.

- a 3×3 convolution from the image to 32 feature maps;
- n pairs of 3×3 convolutions with 32, n with 64 and n with 128 filters, a shortcut around each
  pair; the first convolution of the second and third group has stride 2;
- the mean of each feature map, and a fully connected layer with r outputs.
"""

from torch import Tensor, nn


class ResNet(nn.Module):
    """n pairs per group, r classes."""

    def __init__(self, n: int, r: int) -> None:
        super().__init__()
        raise NotImplementedError("build the layers here")

    def forward(self, images: Tensor) -> Tensor:
        """images: (N, 3, 224, 224) float32 → logits: (N, r)"""
        raise NotImplementedError("apply the layers here")
