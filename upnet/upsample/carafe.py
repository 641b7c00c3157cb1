"""CARAFE: each output pixel is a weighted mean of its neighbourhood, with weights predicted from the content."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.upsample.kernels.checks import check_odd
from upnet.upsample.kernels.memory_format import is_channels_last
from upnet.upsample.stages import ExampleWeights, Stage, TitledMatrix
from upnet.utils.errors import UserError


class CARAFE(Upsampler):
    r"""Content-aware reassembly of features: (N, C, h, w) -> (N, O, s·h, s·w).

    .. math:: y_j[o] = \sum_d w_d[o] \, v_j[\lfloor o/s \rfloor + d]
    .. math:: d \in \{-r, \dots, r\}^2, \quad r = \frac{k_\text{up} - 1}{2}
    .. math:: w[o] = \operatorname{softmax}(E(x))[o], \quad v = x \text{ or a 3×3 convolution of } x

    Symbols: w_d[o] is the weight of the input pixel at offset d; k_up is the side of the window; r is its radius; E are
    the two convolutions that predict the logits; v are the values to be weighted.

    A 1×1 convolution to `mid` channels and a k_enc × k_enc convolution predict k_up² logits for each output pixel.
    Their softmax weights the k_up × k_up input pixels around it, the same for all channels. Beyond the border are
    zeros, as in the authors' code. If O differs from C, the weights are predicted from all C channels, and a 3×3
    convolution C -> O computes the pixels to be weighted.

    mid:   channels of the prediction, at least 1; at most C are used.
    k_enc: kernel size of the prediction, odd.
    k_up:  side of the window, in input pixels, of the weighted mean, odd.

    At initialisation it is close to a k_up × k_up box blur followed by nearest-neighbour interpolation; with zero
    weights it equals that.

    Raises UserError for mid below 1 and for an even k_enc or k_up.

    Source: Wang et al., "CARAFE: Content-Aware ReAssembly of FEatures", https://arxiv.org/abs/1905.02188

    >>> CARAFE(channels=16, scale=2).reassembly_kernels(torch.zeros(1, 16, 5, 4)).shape
    torch.Size([1, 25, 4, 5, 4])
    """

    projects_channels = True
    content_adaptive = True
    support_argument = ("k_up", 3)
    example_weights = ExampleWeights(0, "With large weights the softmax would select one pixel of the window.")

    def __init__(
        self,
        channels: int,
        scale: float,
        out_channels: int | None = None,
        mid: int = 64,
        k_enc: int = 3,
        k_up: int = 5,
    ) -> None:
        super().__init__(channels, scale, out_channels)
        if mid < 1:
            raise UserError(
                "CARAFE needs at least one channel for the prediction",
                setting="mid",
                value=mid,
                allowed="1, 2, 3, …; 64 in the paper",
            )
        check_odd(self, "k_enc", k_enc)
        check_odd(self, "k_up", k_up)
        self.k_up = k_up
        self.values = (
            nn.Identity() if channels == self.out_channels else nn.Conv2d(channels, self.out_channels, 3, padding=1)
        )
        self.compress = nn.Conv2d(channels, min(mid, channels), 1)
        logits = (int(self.scale) * k_up) ** 2
        self.encode = nn.Conv2d(self.compress.out_channels, logits, k_enc, padding=k_enc // 2)
        self._initialize()

    def reassembly_kernels(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, k_up², s², h, w): for each input pixel and phase, the weights of its window, sum 1."""
        logits = self.encode(self.compress(x)).unflatten(1, (self.k_up**2, int(self.scale) ** 2))
        # In bf16 the weights would not sum to 1.
        return logits.softmax(dim=1, dtype=torch.promote_types(logits.dtype, torch.float32))

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, O, s·h, s·w)."""
        values = self.values(x)
        (n, o, h, w), k, s = values.shape, self.k_up, int(self.scale)
        # For each input pixel one small matrix product: its s² kernels times the k_up² pixels around it, for all
        # channels at once. The windows are stacked from shifted images, since the gradient of unfold is slow.
        padded = F.pad(values.permute(0, 2, 3, 1), (0, 0, *[k // 2] * 4))
        windows = torch.stack([padded[:, row : row + h, col : col + w] for row in range(k) for col in range(k)], dim=3)
        kernels = self.reassembly_kernels(x).to(values.dtype).permute(0, 3, 4, 2, 1)
        phases = kernels.reshape(n * h * w, s * s, k * k) @ windows.view(n * h * w, k * k, o)
        out = phases.view(n, h, w, s, s, o).transpose(2, 3).reshape(n, s * h, s * w, o).permute(0, 3, 1, 2)
        return out if is_channels_last(x) else out.contiguous()

    def multiply_adds(self, height: int, width: int) -> int:
        """Those of the convolutions, and k_up² per output value; the softmax is not counted."""
        phases, window = int(self.scale) ** 2, self.k_up**2
        prediction = self.compress.weight.numel() + self.encode.weight.numel()
        projection = 9 * self.channels * self.out_channels if self._projection_radius else 0
        return height * width * (prediction + projection + window * phases * self.out_channels)

    def stages(self, x: Tensor, site: Site) -> list[Stage]:
        """The weights of the first window; with the example weights, all windows have the same."""
        window = self.reassembly_kernels(x)[0, :, 0, 0, 0].view(self.k_up, self.k_up)
        return [Stage([TitledMatrix("weights of a window", window)], computed=True)]

    def input_support(self, output: int) -> range:
        """The input pixels that are weighted and those that the weights are predicted from."""
        centre = output // int(self.scale)
        radius = max(self.encode.kernel_size[0] // 2, self.k_up // 2 + self._projection_radius)
        return range(centre - radius, centre + radius + 1)

    @property
    def _projection_radius(self) -> int:
        """Radius of the convolution C -> O; 0 where there is none."""
        return int(self.channels != self.out_channels)

    def _initialize(self) -> None:
        # As in the authors' code: the softmax starts almost uniform for every input.
        nn.init.xavier_uniform_(self.compress.weight)
        nn.init.normal_(self.encode.weight, std=0.001)
        for conv in (self.compress, self.encode):
            assert conv.bias is not None
            nn.init.zeros_(conv.bias)
