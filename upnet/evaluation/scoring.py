"""Whatever enlarges pictures, scored beside bicubic; training and evaluation score by the same functions."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor
from tqdm import tqdm

from upnet.data import Store
from upnet.data.datasets import StoreDataset
from upnet.evaluation.results import DatasetScores
from upnet.inference.tensor import self_ensemble, upscale_tensor
from upnet.inference.tiling import Tiling
from upnet.metrics import BASELINES, EvaluationProtocol, Score
from upnet.metrics.perceptual import PerceptualMetric
from upnet.models import EncoderDecoder
from upnet.utils.device import float64_device

Method = Callable[[Tensor], Tensor]
"""What is scored: (3 or 1, h, w), uint8 or in [0, 1] -> (3 or 1, scale·h, scale·w) about [0, 1]."""

Ensemble = Literal["none", "x8"]

OutputHook = Callable[[str, str, Tensor], None]
"""Called with the data set's name, the picture's name and the output, (3 or 1, H, W) about [0, 1]."""


def check_protocol(net: EncoderDecoder, protocol: EvaluationProtocol) -> None:
    """Raise ValueError where a network can't be scored by a protocol: y-float hands it luma alone."""
    if protocol.name == "y-float" and net.channels != 1:
        raise ValueError(
            "protocol=y-float scores networks on luma, and this one has model.channels=3; take protocol=rgb8"
        )


def network_method(net: EncoderDecoder, tile: Tiling = "auto", ensemble: Ensemble = "none") -> Method:
    """A network as a method, in float32 on its own device; see `upnet.inference.tensor`."""

    def method(small: Tensor) -> Tensor:
        small = small / 255 if small.dtype == torch.uint8 else small
        whole = partial(upscale_tensor, net, tile=tile)
        return self_ensemble(whole, small) if ensemble == "x8" else whole(small)

    return method


def baseline_method(name: str, scale: int) -> Method:
    """An interpolation as a method, in float64: one of `upnet.metrics.BASELINES`."""
    return lambda small: BASELINES[name](small, scale)


def check_sizes(sets: Mapping[str, Store], scale: int, protocol: EvaluationProtocol) -> None:
    """Raise ValueError, before anything is computed, where a picture is too small to be scored."""
    for dataset, store in sets.items():
        for name, size in zip(store.names, store.sizes, strict=True):
            protocol.check_size(f"{name} of {dataset}", size, scale)


def prepare_pair(lr: Tensor, hr: Tensor, grey: bool, scale: int, protocol: EvaluationProtocol) -> tuple[Tensor, Tensor]:
    """What a method is given, and what its output is held against.

    lr, hr: (3, h, w) and (3, H, W) uint8. Under y-float LR is made anew from HR, in floating point.
    grey:   whether the picture has a single channel, which protocol.grey may treat in its own way.
    """
    lr, hr = (image.to(float64_device(image.device)) for image in (lr, hr))
    target = hr[:1] if grey and protocol.grey == "full" else hr
    return protocol.degrade(target, scale) if protocol.name == "y-float" else (lr, target)


def score_image(
    method: Method,
    small: Tensor,
    target: Tensor,
    scale: int,
    protocol: EvaluationProtocol,
    measures: Sequence[PerceptualMetric] = (),
) -> tuple[Tensor, Score]:
    """What a method makes of one picture, (3 or 1, H, W) about [0, 1], and its score; small, target: see `prepare`."""
    output = method(small)
    told = protocol.evaluate(output, target, scale)
    if not measures:
        return output, told
    pictures = protocol.to_rgb8(output, target, scale)
    return output, Score(told.psnr, told.ssim, perceptual={measure.name: measure(*pictures) for measure in measures})


def empty_scores(name: str, store: Store, protocol: EvaluationProtocol) -> DatasetScores:
    """The empty tally of a data set, with what tells its pictures from others."""
    if protocol.name == "y-float":
        # LR is made from HR, so that LR pictures, which a store has as well, are none of the score's business.
        return DatasetScores(name, hashlib.sha256("\n".join(store.digests).encode()).hexdigest(), "imresize")
    return DatasetScores(name, store.digest, store.lr_from + ", rounded up" * store.lr_rounded_up)


def evaluate_network(
    net: EncoderDecoder,
    sets: Mapping[str, Store],
    protocol: EvaluationProtocol,
    look: OutputHook | None = None,
    tile: Tiling = "auto",
    ensemble: Ensemble = "none",
    measures: Sequence[PerceptualMetric] = (),
) -> Iterable[DatasetScores]:
    """A network's Tally per set. Raises ValueError where the network can't be scored by the protocol."""
    check_protocol(net, protocol)
    device = next(net.parameters()).device
    return evaluate_method(network_method(net, tile, ensemble), net.scale, device, sets, protocol, look, measures)


def evaluate_method(
    method: Method,
    scale: int,
    device: torch.device,
    sets: Mapping[str, Store],
    protocol: EvaluationProtocol,
    look: OutputHook | None = None,
    measures: Sequence[PerceptualMetric] = (),
) -> Iterable[DatasetScores]:
    """A Tally per set of any method, which is given pictures on `device`, beside bicubic."""
    check_sizes(sets, scale, protocol)
    bicubic = baseline_method("bicubic", scale)
    for dataset, store in sets.items():
        tally = empty_scores(dataset, store, protocol)
        pictures = StoreDataset(store)
        bar = tqdm(range(len(pictures)), desc=dataset, unit="picture", leave=False, disable=None)
        for item in (pictures[index] for index in bar):
            lr, hr = item["lr"].to(device), item["hr"].to(device)
            small, target = prepare_pair(lr, hr, item["grey"], scale, protocol)
            output, scored = score_image(method, small, target, scale, protocol, measures)
            tally.add(item["name"], scored, score_image(bicubic, small, target, scale, protocol, measures)[1])
            if look is not None:
                look(dataset, item["name"], output)
        yield tally
