"""Evaluate networks and interpolations image by image, together with bicubic; for validation and evaluation.

A method is any function that upscales an image: `network_method` and `baseline_method` make one.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor
from tqdm import tqdm

from upnet.data import Store
from upnet.data.datasets import StoreDataset
from upnet.evaluation.dataset_scores import DatasetScores
from upnet.inference.tensor import self_ensemble, upscale_tensor
from upnet.inference.tiling import Tiling
from upnet.metrics import BASELINES, EvaluationProtocol, Score
from upnet.metrics.perceptual import PerceptualMetric
from upnet.models import EncoderDecoder
from upnet.utils.device import float64_device
from upnet.utils.errors import UserError

Method = Callable[[Tensor], Tensor]
"""An upscaling method: (3 or 1, h, w), uint8 or in [0, 1] -> (3 or 1, scale·h, scale·w) in about [0, 1]."""

Ensemble = Literal["none", "x8"]

OutputHook = Callable[[str, str, Tensor], None]
"""Called with data set, image name and output, (3 or 1, H, W) in about [0, 1]."""


def check_protocol(net: EncoderDecoder, protocol: EvaluationProtocol) -> None:
    """Raise UserError if a protocol cannot evaluate a network: y-float needs a network of one channel."""
    if protocol.name == "y-float" and net.channels != 1:
        raise UserError(
            "the network has model.channels=3, and this protocol evaluates networks on luma",
            setting="protocol",
            value=protocol.name,
            cure="Take protocol=rgb8",
        )


def network_method(net: EncoderDecoder, tile: Tiling = "auto", ensemble: Ensemble = "none") -> Method:
    """A network as a method, in float32 on its own device; see `upnet.inference.tensor`.

    >>> from functools import partial
    >>> from upnet.encoders import ConvStack
    >>> net = EncoderDecoder(2, 3, partial(ConvStack, layers=[8, 8]), block=None, upsampler=None)
    >>> network_method(net)(torch.zeros(3, 8, 6)).shape
    torch.Size([3, 16, 12])
    """

    def method(lr: Tensor) -> Tensor:
        lr = lr / 255 if lr.dtype == torch.uint8 else lr
        upscale = partial(upscale_tensor, net, tile=tile)
        return self_ensemble(upscale, lr) if ensemble == "x8" else upscale(lr)

    return method


def baseline_method(name: str, scale: int) -> Method:
    """An interpolation as a method, in float64. name: a key of `upnet.metrics.BASELINES`.

    >>> baseline_method("bicubic", 2)(torch.zeros(3, 8, 6)).shape
    torch.Size([3, 16, 12])
    """
    return lambda lr: BASELINES[name](lr, scale)


def check_sizes(sets: Mapping[str, Store], scale: int, protocol: EvaluationProtocol) -> None:
    """Raise UserError if an image is too small for the protocol."""
    for dataset, store in sets.items():
        for name, size in zip(store.names, store.sizes, strict=True):
            protocol.check_size(f"{name} of {dataset}", size, scale)


def prepare_pair(lr: Tensor, hr: Tensor, grey: bool, scale: int, protocol: EvaluationProtocol) -> tuple[Tensor, Tensor]:
    """The input and the target of a method under a protocol, on a device that has float64.

    lr, hr: (3, h, w) and (3, H, W) uint8. For y-float the input is computed from `hr` in floating point instead.
    grey:   whether the image file has a single channel; protocol.grey determines its target.
    """
    lr, hr = (image.to(float64_device(image.device)) for image in (lr, hr))
    target = hr[:1] if grey and protocol.grey == "full" else hr
    return protocol.degrade(target, scale) if protocol.name == "y-float" else (lr, target)


def score_image(
    method: Method,
    lr: Tensor,
    target: Tensor,
    scale: int,
    protocol: EvaluationProtocol,
    perceptual: Sequence[PerceptualMetric] = (),
) -> tuple[Tensor, Score]:
    """The output of a method for one image, (3 or 1, H, W) in about [0, 1], and its score.

    lr, target: as `prepare_pair` returns them.
    """
    output = method(lr)
    score = protocol.evaluate(output, target, scale)
    if not perceptual:
        return output, score
    images = protocol.to_rgb8(output, target, scale)
    return output, Score(score.psnr, score.ssim, perceptual={metric.name: metric(*images) for metric in perceptual})


def empty_scores(name: str, store: Store, protocol: EvaluationProtocol) -> DatasetScores:
    """DatasetScores without images, with the hash that identifies the pixels that scores depend on."""
    if protocol.name == "y-float":
        # LR is computed from HR: the LR images of the store do not affect the scores.
        return DatasetScores(name, hashlib.sha256("\n".join(store.digests).encode()).hexdigest(), "imresize")
    return DatasetScores(name, store.digest, f"{store.lr_from}, rounded up" if store.lr_rounded_up else store.lr_from)


def evaluate_network(
    net: EncoderDecoder,
    sets: Mapping[str, Store],
    protocol: EvaluationProtocol,
    on_output: OutputHook | None = None,
    tile: Tiling = "auto",
    ensemble: Ensemble = "none",
    perceptual: Sequence[PerceptualMetric] = (),
) -> Iterable[DatasetScores]:
    """Evaluate a network on every data set. Raises UserError if the protocol cannot evaluate the network."""
    check_protocol(net, protocol)
    device = next(net.parameters()).device
    method = network_method(net, tile, ensemble)
    return evaluate_method(method, net.scale, device, sets, protocol, on_output, perceptual)


def evaluate_method(
    method: Method,
    scale: int,
    device: torch.device,
    sets: Mapping[str, Store],
    protocol: EvaluationProtocol,
    on_output: OutputHook | None = None,
    perceptual: Sequence[PerceptualMetric] = (),
) -> Iterable[DatasetScores]:
    """Evaluate a method and bicubic on every data set. Raises UserError if an image is too small for the protocol.

    device: where the method gets its input.
    """
    check_sizes(sets, scale, protocol)
    bicubic = baseline_method("bicubic", scale)
    for dataset, store in sets.items():
        scores = empty_scores(dataset, store, protocol)
        images = StoreDataset(store)
        for index in tqdm(range(len(images)), desc=dataset, unit="image", leave=False, disable=None):
            image = images[index]
            lr, hr = image["lr"].to(device), image["hr"].to(device)
            lr, target = prepare_pair(lr, hr, image["grey"], scale, protocol)
            output, score = score_image(method, lr, target, scale, protocol, perceptual)
            baseline = score_image(bicubic, lr, target, scale, protocol, perceptual)[1]
            scores.add(image["name"], score, baseline)
            if on_output is not None:
                on_output(dataset, image["name"], output)
        yield scores
