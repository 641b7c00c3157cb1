"""What the arms do beyond PSNR and SSIM: to an impulse, to a constant, to the spectrum, and as plain figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from upnet.data import Store
from upnet.metrics import BASELINES, Protocol
from upnet.models import EncoderDecoder
from upnet.study.diagnostics import Subject, diagnostics, measure, measure_method
from upnet.study.diagnostics.base import Cost
from upnet.study.diagnostics.phase_variance import pattern
from upnet.study.diagnostics.power import both
from upnet.study.diagnostics.spectrum import profile

PICTURES = 3
"""How many pictures the figures that look at pictures are means over, the first ones of the first data set."""

GREY = 0.5
"""The level of the constant input."""


@dataclass(frozen=True)
class Behaviour:
    """Of one network.

    figures:  scalar diagnostics by name.
    impulse:  (s, s, D, D), the kernel of each output phase.
    constant: (P, P), one period of the output for a grey of 1/2, less its mean, in levels of 255.
    spectrum: frequencies in cycles per pixel and the power beside HR's in dB, both (K,); None without pictures.
    """

    figures: dict[str, float]
    impulse: np.ndarray | None
    constant: np.ndarray | None
    spectrum: tuple[np.ndarray, np.ndarray] | None


def behaviour(net: EncoderDecoder, store: Store | None, protocol: Protocol) -> Behaviour:
    """All of it, with the pictures of a store or, where there is none, without what needs them."""
    pictures = pairs(store)
    wanted = [one.name for one in diagnostics().values() if not isinstance(one, Cost)]
    if not pictures:
        wanted = [name for name in wanted if not diagnostics()[name].per_picture]
    values = measure(net, pictures, protocol, only=wanted)
    subject = Subject.of_network(net)
    flat = pattern(subject, GREY).numpy()
    return Behaviour(
        figures={name: value for name, value in values.items() if isinstance(value, float)},
        impulse=np.asarray(values["impulse_response"]),
        constant=255 * (flat - flat.mean()),
        spectrum=_spectrum(subject, pictures) if pictures else None,
    )


def by_bicubic(scale: int, store: Store | None) -> Behaviour | None:
    """The same figures of bicubic interpolation, on the same pictures; None where there are none."""
    pictures = pairs(store)
    if not pictures:
        return None
    subject = Subject(lambda small: BASELINES["bicubic"](small, scale), scale)
    values: dict[str, Any] = measure_method(subject.method, scale, pictures)
    figures = {name: value for name, value in values.items() if isinstance(value, float)}
    return Behaviour(figures, None, None, _spectrum(subject, pictures))


def pairs(store: Store | None) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """LR and HR, (3, h, w) and (3, H, W) uint8, of the first pictures."""
    if store is None:
        return []
    return [(_planes(store.lr(index)), _planes(store.hr(index))) for index in range(min(PICTURES, len(store)))]


def _spectrum(
    subject: Subject, pictures: Sequence[tuple[torch.Tensor, torch.Tensor]]
) -> tuple[np.ndarray, np.ndarray] | None:
    """The mean over pictures; those that are too small for blocks of the largest size are left out."""
    told: list[np.ndarray] = []
    lines: list[np.ndarray] = []
    for lr, hr in pictures:
        target = (hr / 255).double()
        made = subject.luma_of(lr.float() / 255)[None]
        output, true = both(made, target, subject.scale)
        frequencies, found = profile(output, subject.scale)
        lines.append(frequencies.numpy())
        told.append((10 * torch.log10(found / profile(true, subject.scale)[1])).numpy())
    longest = max(lines, key=len)
    kept = [decibels for decibels, line in zip(told, lines, strict=True) if len(line) == len(longest)]
    return longest, np.mean(kept, axis=0)


def _planes(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(picture)).movedim(-1, 0)
