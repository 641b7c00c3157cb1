"""The photograph that the operators are tried on, and what each makes of it."""

from dataclasses import dataclass
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor

from upnet.imresize import imresize
from upnet.site import Site
from upnet.upsample.base import Upsampler

# The badge on the astronaut's chest: lettering, thin lines, and the weave of the cloth.
TOP, LEFT, SIDE = 343, 129, 84


@dataclass(frozen=True)
class Pair:
    """hr: (3, 84, 84) in [0, 1], float64. lr: (3, h, w), the same picture reduced by the scale."""

    hr: Tensor
    lr: Tensor


def load_pair(scale: float) -> Pair:
    """A detail of scikit-image's astronaut, and its bicubic reduction; antialiased, as SR data sets are made."""
    from skimage import data

    whole = torch.from_numpy(data.astronaut()).permute(2, 0, 1).double() / 255
    hr = whole[:, TOP : TOP + SIDE, LEFT : LEFT + SIDE]
    return Pair(hr, imresize(hr, 1 / Fraction(str(scale))).clamp(0, 1))


@torch.no_grad()
def enlarge(operator: Upsampler, pair: Pair) -> Tensor:
    """(3, 84, 84): each colour by itself through an operator of one channel.

    What reads more than the size of its site gets the HR picture's own maxima, and their positions.
    """
    planes, size = pair.hr[:, None], (pair.hr.shape[-2], pair.hr.shape[-1])
    if not operator.requires:
        return operator(pair.lr[:, None], Site(size))[:, 0]
    x, indices = F.max_pool2d(planes, int(operator.scale), ceil_mode=True, return_indices=True)
    return operator(x, Site(size, indices=indices, skip=planes))[:, 0]


def stretched(picture: Tensor, like: Tensor) -> Tensor:
    """The picture with the mean and the contrast of another one: untrained weights have a gain of their own."""
    spread = picture.std().clamp(min=1e-12)
    return (picture - picture.mean()) / spread * like.std() + like.mean()
