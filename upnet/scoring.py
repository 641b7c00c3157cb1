"""A network scored on pictures, beside bicubic; training and evaluation score by the same functions."""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor
from tqdm import tqdm

from upnet.data import Store
from upnet.data.loading import Pictures
from upnet.metrics import Protocol, Score, bicubic
from upnet.models import EncoderDecoder
from upnet.models.enlarge import enlarge
from upnet.results import Tally

Look = Callable[[str, str, Tensor], None]
"""Called with the data set's name, the picture's name and the output, (3 or 1, H, W) about [0, 1]."""


def check_protocol(net: EncoderDecoder, protocol: Protocol) -> None:
    """Raise ValueError where a network can't be scored by a protocol: y-float hands it luma alone."""
    if protocol.name == "y-float" and net.channels != 1:
        raise ValueError(
            "protocol.name=y-float scores networks on luma, and this one has model.channels=3; take protocol.name=rgb8"
        )


def score_network(net: EncoderDecoder, lr: Tensor, hr: Tensor, protocol: Protocol) -> tuple[Tensor, Score]:
    """What a network makes of one picture, (3 or 1, H, W) about [0, 1], and its score.

    lr, hr: (3, h, w) and (3, H, W) uint8. Under y-float LR is made anew from HR, in floating point.
    """
    small, target = protocol.degrade(hr, net.scale) if protocol.name == "y-float" else (lr, hr)
    output = enlarge(net, small / 255 if small.dtype == torch.uint8 else small)
    return output, protocol.score(output, target, net.scale)


def score_bicubic(lr: Tensor, hr: Tensor, scale: int, protocol: Protocol) -> Score:
    """Bicubic's score of the same picture."""
    small, target = protocol.degrade(hr, scale) if protocol.name == "y-float" else (lr, hr)
    return protocol.score(bicubic(small, scale), target, scale)


def score_sets(
    net: EncoderDecoder, sets: Mapping[str, Store], protocol: Protocol, look: Look | None = None
) -> Iterable[Tally]:
    """A Tally per set. Raises ValueError where the network can't be scored by the protocol."""
    check_protocol(net, protocol)
    device = next(net.parameters()).device
    for dataset, store in sets.items():
        tally = Tally(dataset, store.digest)
        pictures = Pictures(store)
        bar = tqdm(range(len(pictures)), desc=dataset, unit="picture", leave=False, disable=None)
        for item in (pictures[index] for index in bar):
            lr, hr = item["lr"].to(device), item["hr"].to(device)
            output, score = score_network(net, lr, hr, protocol)
            tally.add(item["name"], score, score_bicubic(lr, hr, net.scale, protocol))
            if look is not None:
                look(dataset, item["name"], output)
        yield tally
