"""Charbonnier: a smooth approximation of the L1 loss."""

from typing import Annotated

import torch
from annotated_types import Gt
from torch import Tensor, nn

from upnet.utils.errors import UserError


class Charbonnier(nn.Module):
    r"""Charbonnier loss, a differentiable L1 loss.

    .. math:: L = \frac{1}{n} \sum \sqrt{(\text{output} - \text{target})^2 + \epsilon^2}

    Differences below epsilon count quadratically, larger ones linearly.

    epsilon: in the units of the pixels, above 0.

    Raises UserError for an epsilon that isn't above 0.

    Source: Lai et al., "Deep Laplacian Pyramid Networks for Fast and Accurate Super-Resolution", 2017,
    https://arxiv.org/abs/1704.03915

    >>> loss = Charbonnier()
    >>> output, target = torch.full((1, 3, 4, 4), 0.75), torch.full((1, 3, 4, 4), 0.25)
    >>> round(loss(output, target).item(), 4)
    0.5
    """

    def __init__(self, epsilon: Annotated[float, Gt(0)] = 1e-3) -> None:
        super().__init__()
        if epsilon <= 0:
            raise UserError(
                "is out of range for Charbonnier", setting="epsilon", value=epsilon, allowed="numbers above 0"
            )
        self.epsilon = epsilon

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Two (N, C, H, W) in [0, 1] -> a scalar tensor ()."""
        return torch.sqrt((output - target).square() + self.epsilon**2).mean()
