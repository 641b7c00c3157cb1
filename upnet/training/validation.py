"""Evaluate the validation images of a training run with the averaged and with the raw weights."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from upnet.data import Store
from upnet.evaluation.dataset_scores import DatasetScores
from upnet.evaluation.scoring import baseline_method, empty_scores, network_method, prepare_pair, score_image
from upnet.metrics import EvaluationProtocol, Score, gain
from upnet.models import EncoderDecoder

Weights = Literal["ema", "raw"]


class Validation:
    """Evaluate the validation images of each data set with the raw and with the averaged weights.

    raw, ema: the network that is trained, and the network with the averaged weights.
    protocol: how images are evaluated.
    scores:   weights -> data set -> the scores of its images in the current validation.
    """

    def __init__(self, raw: EncoderDecoder, ema: EncoderDecoder, protocol: EvaluationProtocol) -> None:
        self.raw, self.ema, self.protocol = raw, ema, protocol
        self.scores: dict[Weights, dict[str, DatasetScores]] = {"ema": {}, "raw": {}}
        self._baselines: dict[tuple[str, str], Score] = {}

    def start(self, sets: Mapping[str, Store]) -> None:
        """Begin a validation, without any scores."""
        for weights in self.scores:
            self.scores[weights] = {name: empty_scores(name, store, self.protocol) for name, store in sets.items()}

    def evaluate(self, batch: Mapping[str, Any], dataset: str) -> Tensor:
        """Evaluate an image and return the output with the averaged weights, (C, H, W) in about [0, 1].

        batch: `name`, `lr` (3, h, w) uint8, `hr` (3, H, W) uint8, and `grey`, whether the image has one channel.
        """
        name, scale = batch["name"], self.raw.scale
        lr, hr = prepare_pair(batch["lr"], batch["hr"], batch["grey"], scale, self.protocol)
        baseline = self._baseline(dataset, name, lr, hr)
        _, raw_score = score_image(network_method(self.raw), lr, hr, scale, self.protocol)
        output, ema_score = score_image(network_method(self.ema), lr, hr, scale, self.protocol)
        self.scores["raw"][dataset].add(name, raw_score, baseline)
        self.scores["ema"][dataset].add(name, ema_score, baseline)
        return output

    def gather(self, sets: Mapping[str, Store], world_size: int) -> None:
        """Merge the scores of all processes, each of which evaluated a part of the images, in the order of the sets."""
        if world_size == 1:
            return
        parts: list[Any] = [None] * world_size
        torch.distributed.all_gather_object(parts, self.scores)
        for weights, by_dataset in self.scores.items():
            for name, scores in by_dataset.items():
                method = {image: score for part in parts for image, score in part[weights][name].method.items()}
                baseline = {image: score for part in parts for image, score in part[weights][name].baseline.items()}
                scores.method = {image: method[image] for image in sets[name].names}
                scores.baseline = {image: baseline[image] for image in sets[name].names}

    def scalars(self) -> dict[str, float]:
        """The scalars to log: mean PSNR in dB, mean SSIM and gain over bicubic in dB of each data set.

        The names for the raw weights end in `_raw`.
        """
        scalars: dict[str, float] = {}
        for weights, by_dataset in self.scores.items():
            suffix = "" if weights == "ema" else "_raw"
            for name, scores in by_dataset.items():
                network, baseline = scores.means()
                scalars[f"{name}/psnr{suffix}"], scalars[f"{name}/ssim{suffix}"] = network.psnr, network.ssim
                scalars[f"{name}/gain{suffix}"] = gain(baseline.psnr, network.psnr)
        return scalars

    def mean_psnr(self) -> float:
        """The mean over the data sets of the mean PSNR in dB with the averaged weights."""
        psnrs = [scores.means()[0].psnr for scores in self.scores["ema"].values()]
        return sum(psnrs) / len(psnrs)

    def _baseline(self, dataset: str, name: str, lr: Tensor, hr: Tensor) -> Score:
        """The score of bicubic interpolation, computed once per image."""
        if (dataset, name) not in self._baselines:
            bicubic = baseline_method("bicubic", self.raw.scale)
            self._baselines[dataset, name] = score_image(bicubic, lr, hr, self.raw.scale, self.protocol)[1]
        return self._baselines[dataset, name]
