"""Every encoder halves as it promises and leaves at every site what it declares."""

from functools import partial
from pathlib import Path
from unittest.mock import patch
from urllib.error import URLError

import pytest
import torch
import torch.nn.functional as F
from hydra.utils import instantiate
from omegaconf import OmegaConf
from support import CONFIGS

from upnet.blocks import ConvBlock
from upnet.encoders import ConvStack, Encoder, MaxPoolEncoder, ResNet, StridedConvEncoder

YAMLS = sorted((CONFIGS / "model/encoder").glob("*.yaml"))


def halved(side: int, times: int) -> int:
    for _ in range(times):
        side = -(-side // 2)
    return side


@pytest.mark.covering(per="yaml")
@pytest.mark.parametrize("yaml", YAMLS, ids=lambda path: path.stem)
@pytest.mark.parametrize("size", [(32, 32), (33, 45), (18, 7)])
@pytest.mark.parametrize("channels", [1, 3])
def test_feature_maps_have_the_declared_sizes_and_widths(yaml: Path, size: tuple[int, int], channels: int) -> None:
    encoder = instantiate(OmegaConf.load(yaml))(channels=channels, block=ConvBlock)
    assert isinstance(encoder, Encoder)
    bottom, sites = encoder.eval()(torch.rand(2, channels, *size))
    assert len(sites) == encoder.depth == len(encoder.widths) - 1
    expected = (2, encoder.widths[-1], *(halved(side, encoder.depth) for side in size))
    assert tuple(bottom.shape) == expected
    for level, site in enumerate(sites):
        here = tuple(halved(side, level) for side in size)
        below = tuple(halved(side, level + 1) for side in size)
        assert site.size == here
        for field in encoder.provides:
            assert getattr(site, field).shape == (2, encoder.widths[level], *(below if field == "indices" else here))


@pytest.mark.parametrize("yaml", YAMLS, ids=lambda path: path.stem)
def test_receptive_fields_of_the_levels_are_exact(yaml: Path) -> None:
    torch.manual_seed(0)
    encoder = instantiate(OmegaConf.load(yaml))(channels=3, block=ConvBlock).double().eval()
    windows = encoder.receptive_fields
    assert len(windows) == len(encoder.widths)
    assert windows[-1].stride == 2**encoder.depth
    x = torch.randn(1, 3, 72, 72, dtype=torch.float64)
    before, after = [0] * len(windows), [0] * len(windows)
    for pixel in range(36, 36 + windows[-1].stride):
        changed = x.clone()
        changed[..., pixel, :] += 30
        pairs = zip(levels(encoder, x), levels(encoder, changed), strict=True)
        for level, (calm, moved) in enumerate(pairs):
            stride = windows[level].stride
            for place in (calm != moved).any(1).any(2)[0].nonzero().flatten().tolist():
                before[level] = max(before[level], stride * place - pixel)
                after[level] = max(after[level], pixel - stride * place)
    assert [(window.before, window.after) for window in windows] == list(zip(before, after, strict=True))


def levels(encoder: Encoder, x: torch.Tensor) -> list[torch.Tensor]:
    """The features of every level, finest first; of a chain, its only ones."""
    bottom, sites = encoder(x)
    skips = [site.skip for site in sites]
    return [*(skip for skip in skips if skip is not None), bottom]


def test_stem_and_block_kernels_enlarge_the_receptive_field() -> None:
    thin = MaxPoolEncoder(3, partial(ConvBlock, layers=1), width=4, depth=1)
    wide = MaxPoolEncoder(3, partial(ConvBlock, layers=1, kernel_size=5), width=4, depth=1, stem_kernel=7)
    assert [tuple(window) for window in thin.receptive_fields] == [(1, 1, 1), (2, 3, 4)]
    assert [tuple(window) for window in wide.receptive_fields] == [(1, 5, 5), (2, 9, 10)]


def test_batch_statistics_make_the_receptive_field_unbounded() -> None:
    encoder = ResNet(channels=3, block=ConvBlock, depth=1)
    assert encoder.train().receptive_fields is None
    assert encoder.eval().receptive_fields is not None


def test_indices_of_the_max_pool_encoder_are_those_of_its_maxima() -> None:
    encoder = MaxPoolEncoder(channels=3, block=ConvBlock, width=4, depth=2)
    _, sites = encoder(torch.rand(1, 3, 13, 9))
    for site in sites:
        assert site.skip is not None
        assert site.indices is not None
        pooled = F.max_pool2d(site.skip, 2, ceil_mode=True)
        picked = site.skip.flatten(2).gather(2, site.indices.flatten(2))
        assert torch.equal(picked, pooled.flatten(2))


def test_the_strided_encoder_changes_width_at_each_stride() -> None:
    encoder = StridedConvEncoder(channels=3, block=ConvBlock, width=4, depth=2, growth=2)
    assert [tuple(conv.weight.shape[:2]) for conv in encoder.halvings if isinstance(conv, torch.nn.Conv2d)] == [
        (8, 4),
        (16, 8),
    ]


def test_pretrained_weights_without_internet_are_rejected_with_a_cure() -> None:
    encoder = ResNet(channels=3, block=ConvBlock, weights="imagenet", depth=2)
    with (
        patch("torchvision.models._api.load_state_dict_from_url", side_effect=URLError("no route")),
        pytest.raises(ValueError, match=r"resnet18 weights cannot be downloaded.*model.encoder.weights=none"),
    ):
        encoder.load_pretrained()


def test_pretrained_weights_are_loaded_into_every_stage() -> None:
    from torchvision import models

    donor = models.resnet18(weights=None).state_dict()
    encoder = ResNet(channels=3, block=ConvBlock, weights="imagenet", depth=3)
    with patch("torchvision.models._api.load_state_dict_from_url", return_value=donor):
        encoder.load_pretrained()
    state = encoder.state_dict()
    for ours, theirs in (
        ("stages.0.0.weight", "conv1.weight"),
        ("stages.0.1.running_var", "bn1.running_var"),
        ("stages.1.1.1.conv2.weight", "layer1.1.conv2.weight"),
        ("stages.2.0.downsample.0.weight", "layer2.0.downsample.0.weight"),
    ):
        assert torch.equal(state[ours], donor[theirs]), ours


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaxPoolEncoder(3, ConvBlock, width=0), "width=0"),
        (lambda: MaxPoolEncoder(3, ConvBlock, stem_kernel=4), "stem_kernel=4: .* odd kernel"),
        (lambda: ResNet(3, ConvBlock, depth=6), "depth=6: .*1 … 5"),
        (lambda: ConvStack(3, layers=[8, 8], kernel_sizes=[3]), r"kernel_sizes=\[3\]: .*has 2 convolutions"),
    ],
)
def test_invalid_settings_are_rejected(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("encoder", [MaxPoolEncoder, StridedConvEncoder, ResNet])
def test_an_encoder_that_needs_a_block_rejects_none(encoder: type[Encoder]) -> None:
    with pytest.raises(ValueError, match=f"block=null: {encoder.__name__} needs a block.*model/block=conv"):
        encoder(channels=3, block=None)
