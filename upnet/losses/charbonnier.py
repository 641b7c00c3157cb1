"""The Charbonnier loss: L1 with a smooth foot."""

from typing import Annotated

import torch
from annotated_types import Gt
from torch import Tensor, nn


class Charbonnier(nn.Module):
    """mean(√(d² + epsilon²)) of the difference d of two tensors of one shape, in [0, 1].

    epsilon: where the loss turns from square to absolute, in the units of the pixels.

    Raises ValueError for an epsilon that isn't above 0.

    Source: Lai et al., "Deep Laplacian Pyramid Networks for Fast and Accurate Super-Resolution",
    https://arxiv.org/abs/1704.03915
    """

    def __init__(self, epsilon: Annotated[float, Gt(0)] = 1e-3) -> None:
        super().__init__()
        if epsilon <= 0:
            raise ValueError(f"Charbonnier: epsilon lies above 0; got {epsilon}")
        self.epsilon = epsilon

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Two (N, C, H, W) -> ()."""
        return torch.sqrt((output - target).square() + self.epsilon**2).mean()
