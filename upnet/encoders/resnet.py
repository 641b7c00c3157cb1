"""A torchvision backbone as the encoder: ResNet-18 and its like."""

from typing import TYPE_CHECKING, Annotated, Literal

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from upnet.encoders.base import BlockFactory, Encoder, require_block
from upnet.site import Site
from upnet.utils.receptive_field import Window, known
from upnet.utils.seeding import apart, undrawn

if TYPE_CHECKING:
    from torchvision.models import ResNet as TorchvisionResNet

# The statistics torchvision's weights were trained with; pictures arrive here less mid-grey, 0.5.
MEAN = (0.485 - 0.5, 0.456 - 0.5, 0.406 - 0.5)
STD = (0.229, 0.224, 0.225)


class ResNet(Encoder):
    """A block on the full grid, then the stages of a ResNet, halving as it does.

    Its max-pooling overlaps (3×3, stride 2), so positions would belong to two windows: max-unpooling has no partner
    here. Normalisation is the backbone's own batch normalisation.

    variant: which of torchvision's ResNets with basic blocks.
    weights: `imagenet` takes over torchvision's weights when training starts from scratch, `none` draws them.
    width:   channels of the block on the full grid, whose features are the finest skip.
    depth:   how often the features are halved, up to 5.

    Raises ValueError where the weights can't be had, and for channels other than 1 and 3.

    Source: He et al., "Deep Residual Learning for Image Recognition", https://arxiv.org/abs/1512.03385
    """

    provides = frozenset({"skip"})

    def __init__(
        self,
        channels: int,
        block: BlockFactory | None,
        variant: Literal["resnet18", "resnet34"] = "resnet18",
        weights: Literal["none", "imagenet"] = "none",
        width: Annotated[int, Ge(1)] = 16,
        depth: Annotated[int, Ge(1), Le(5)] = 2,
    ) -> None:
        super().__init__()
        if not 1 <= depth <= 5:
            raise ValueError(f"ResNet: depth lies between 1 and 5, the halvings a ResNet has; got {depth}")
        if channels not in (1, 3):
            raise ValueError(f"ResNet: pictures have 1 or 3 channels; got {channels}")
        self.variant = variant
        self.weights = weights
        with apart("finest"):
            self.finest = require_block(block, "ResNet")(in_channels=channels, out_channels=width)
        with apart("backbone"):
            net = self._backbone()
        stages = (
            nn.Sequential(net.conv1, net.bn1, net.relu),
            nn.Sequential(net.maxpool, net.layer1),
            net.layer2,
            net.layer3,
            net.layer4,
        )
        self.stages = nn.ModuleList(stages[:depth])
        self.widths = (width, *(64, 64, 128, 256, 512)[:depth])
        device = "cpu" if undrawn() else None
        self.register_buffer("mean", torch.tensor(MEAN, device=device).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD, device=device).view(1, 3, 1, 1), persistent=False)
        self.mean: Tensor
        self.std: Tensor

    def forward(self, x: Tensor) -> tuple[Tensor, list[Site]]:
        """(N, channels, H, W) around mid-grey -> ((N, widths[-1], h, w), [Site of each level, finest first])."""
        features = [self.finest(x)]
        y = (x - self.mean) / self.std  # (N, 3, H, W), a single channel repeated
        for stage in self.stages:
            y = stage(y)
            features.append(y)
        sites = [Site(size=(level.shape[-2], level.shape[-1]), skip=level) for level in features[:-1]]
        return features[-1], sites

    @property
    def windows(self) -> tuple[Window, ...] | None:
        """The block's, then each stage's in turn; None in training, where normalisation looks at all pixels."""
        if self.training:
            return None
        seen = Window.around(0)
        levels = [Window.around(known(self.finest))]
        for stage in self.stages:
            for part in stage.modules():
                # 1×1 convolutions stand on shortcuts, beside what looks farther.
                if isinstance(part, nn.Conv2d | nn.MaxPool2d) and _first(part.kernel_size) > 1:
                    kernel, stride, padding = map(_first, (part.kernel_size, part.stride, part.padding))
                    seen = seen.then(Window.of_kernel(kernel, stride, padding))
            levels.append(seen)
        return tuple(levels)

    def warm_start(self) -> None:
        """Take over torchvision's weights if `weights` says so. Raises ValueError where they can't be had."""
        if self.weights == "none":
            return
        from urllib.error import URLError

        from torchvision.models import get_model_weights

        published = next(iter(get_model_weights(self.variant)))
        try:
            state = published.get_state_dict(progress=True, check_hash=True)
        except (URLError, OSError, RuntimeError) as fault:
            raise ValueError(
                f"ResNet: the {self.variant} weights could not be had from {published.url} ({fault}). Put that file "
                f"into {torch.hub.get_dir()}/checkpoints, or set model.encoder.weights=none"
            ) from fault
        source = self._backbone()
        source.load_state_dict(state)
        donors = (source.conv1, source.bn1, source.layer1, source.layer2, source.layer3, source.layer4)
        receivers = self._parts()
        for donor, receiver in zip(donors, receivers, strict=False):
            receiver.load_state_dict(donor.state_dict())

    def _backbone(self) -> "TorchvisionResNet":
        from torchvision import models

        return {"resnet18": models.resnet18, "resnet34": models.resnet34}[self.variant](weights=None)

    def _parts(self) -> list[nn.Module]:
        """conv1, bn1, layer1, layer2, … as far as the depth goes, in the order of torchvision's network."""
        stages = [stage for stage in self.stages if isinstance(stage, nn.Sequential)]
        assert len(stages) == self.depth
        pooled = [stages[1][1]] if self.depth > 1 else []  # behind the max-pooling, which has no weights
        return [stages[0][0], stages[0][1], *pooled, *stages[2:]]


def _first(sides: object) -> int:
    """One side of what torch gives as a number or as a pair of equal ones."""
    side = sides[0] if isinstance(sides, tuple) else sides
    assert isinstance(side, int)
    return side
