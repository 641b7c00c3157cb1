"""A torchvision ResNet as the encoder."""

from typing import TYPE_CHECKING, Annotated, Literal

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from upnet.encoders.base import BlockFactory, Encoder, require_block
from upnet.site import Site
from upnet.utils.errors import UserError
from upnet.utils.receptive_field import ReceptiveField, require_radius
from upnet.utils.seeding import named_rng, on_meta_device

if TYPE_CHECKING:
    from torchvision.models import ResNet as TorchvisionResNet

MEAN = (0.485 - 0.5, 0.456 - 0.5, 0.406 - 0.5)
"""The RGB mean that torchvision's weights were trained with, minus 0.5, as are the images."""
STD = (0.229, 0.224, 0.225)
"""The RGB standard deviation that torchvision's weights were trained with."""
STAGE_WIDTHS = (64, 64, 128, 256, 512)


class ResNet(Encoder):
    """A block on the full grid, then the stages of a torchvision ResNet with its batch normalisation.

    Its max-pooling windows overlap (3×3, stride 2), so that an index may belong to two windows: it provides no indices
    and max-unpooling cannot be used with it.

    variant: the torchvision ResNet.
    weights: `imagenet` loads torchvision's weights when training starts from scratch, `none` keeps random weights.
    width:   channels of the block on the full grid, whose features are the skip of level 0.
    depth:   the number of downsamplings by 2, 1 … 5.

    Raises UserError for a depth outside 1 … 5 and for channels other than 1 and 3.

    Source: He et al., "Deep Residual Learning for Image Recognition", https://arxiv.org/abs/1512.03385

    >>> from upnet.blocks import ConvBlock
    >>> ResNet(3, ConvBlock, width=8, depth=2).widths
    (8, 64, 64)
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
        if not 1 <= depth <= len(STAGE_WIDTHS):
            raise UserError("is out of range for ResNet", setting="depth", value=depth, allowed="1 … 5")
        if channels not in (1, 3):
            raise UserError("ResNet encodes grey or RGB images", setting="channels", value=channels, allowed="1 or 3")
        self.variant = variant
        self.weights = weights
        with named_rng("finest"):
            self.finest = require_block(block, "ResNet")(in_channels=channels, out_channels=width)
        with named_rng("backbone"):
            net = self._backbone()
        stages = (
            nn.Sequential(net.conv1, net.bn1, net.relu),
            nn.Sequential(net.maxpool, net.layer1),
            net.layer2,
            net.layer3,
            net.layer4,
        )
        self.stages = nn.ModuleList(stages[:depth])
        self.widths = (width, *STAGE_WIDTHS[:depth])
        # Not in the state_dict, so that they need values even if the weights are loaded later.
        device = "cpu" if on_meta_device() else None
        self.register_buffer("mean", torch.tensor(MEAN, device=device).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD, device=device).view(1, 3, 1, 1), persistent=False)
        self.mean: Tensor
        self.std: Tensor

    def forward(self, x: Tensor) -> tuple[Tensor, list[Site]]:
        """(N, channels, H, W) in [−½, ½] -> ((N, widths[-1], h, w), [Site of level 0, Site of level 1, …])."""
        features = [self.finest(x)]
        y = (x - self.mean) / self.std  # (N, 3, H, W): a single channel is repeated
        for stage in self.stages:
            y = stage(y)
            features.append(y)
        sites = [Site(size=(level.shape[-2], level.shape[-1]), skip=level) for level in features[:-1]]
        return features[-1], sites

    @property
    def receptive_fields(self) -> tuple[ReceptiveField, ...] | None:
        """Of each level in the encoder's input; None in training mode, where normalisation depends on all pixels."""
        if self.training:
            return None
        field = ReceptiveField.of_radius(0)
        levels = [ReceptiveField.of_radius(require_radius(self.finest))]
        for stage in self.stages:
            for layer in stage.modules():
                # 1×1 convolutions are shortcuts, parallel to layers with a larger receptive field.
                if isinstance(layer, nn.Conv2d | nn.MaxPool2d) and _side(layer.kernel_size) > 1:
                    kernel, stride, padding = map(_side, (layer.kernel_size, layer.stride, layer.padding))
                    field = field.compose(ReceptiveField.of_kernel(kernel, stride, padding))
            levels.append(field)
        return tuple(levels)

    def load_pretrained(self) -> None:
        """Load torchvision's weights if `weights` is `imagenet`. Raises UserError if they cannot be downloaded."""
        if self.weights == "none":
            return
        from urllib.error import URLError

        from torchvision.models import get_model_weights

        published = next(iter(get_model_weights(self.variant)))
        try:
            state = published.get_state_dict(progress=True, check_hash=True)
        except (URLError, OSError, RuntimeError) as error:
            raise UserError(
                f"the {self.variant} weights cannot be downloaded from {published.url} ({error})",
                cure=f"Put that file into {torch.hub.get_dir()}/checkpoints, or set model.encoder.weights=none",
            ) from error
        pretrained = self._backbone()
        pretrained.load_state_dict(state)
        sources = (
            *(pretrained.conv1, pretrained.bn1),
            *(pretrained.layer1, pretrained.layer2, pretrained.layer3, pretrained.layer4),
        )
        for source, target in zip(sources, self._modules_with_weights(), strict=False):
            target.load_state_dict(source.state_dict())

    def _backbone(self) -> "TorchvisionResNet":
        from torchvision import models

        return {"resnet18": models.resnet18, "resnet34": models.resnet34}[self.variant](weights=None)

    def _modules_with_weights(self) -> list[nn.Module]:
        """conv1, bn1, layer1, layer2, … up to the depth, in the order of torchvision's network."""
        stages = [stage for stage in self.stages if isinstance(stage, nn.Sequential)]
        assert len(stages) == self.depth
        after_pooling = [stages[1][1]] if self.depth > 1 else []
        return [stages[0][0], stages[0][1], *after_pooling, *stages[2:]]


def _side(size: object) -> int:
    """One side of a size that torch stores as a number or as a pair of equal numbers."""
    side = size[0] if isinstance(size, tuple) else size
    assert isinstance(side, int)
    return side
