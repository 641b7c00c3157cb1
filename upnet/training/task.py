"""The LightningModule: a network, how it is trained and how it is evaluated."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from upnet.checkpoint import describe
from upnet.checkpoint.migration import migrate
from upnet.evaluation.dataset_scores import DatasetScores
from upnet.evaluation.scoring import (
    baseline_method,
    check_protocol,
    empty_scores,
    network_method,
    prepare_pair,
    score_image,
)
from upnet.imaging.colour import luma
from upnet.metrics import EvaluationProtocol, Score, gain
from upnet.models import EncoderDecoder
from upnet.training.ema import EMA
from upnet.training.step_recorder import GraphSetting, StepRecorder

Weights = Literal["ema", "raw"]


class Task(pl.LightningModule):
    """Train a network on batches {"lr": (N, 3, h, w), "hr": (N, 3, s·h, s·w)} of uint8; evaluate it on whole images.

    net:           the network.
    config:        the config of the network as plain data, which a checkpoint contains.
    settings:      what else the result depends on, as plain data; only a run with the same settings is resumed.
    loss:          of the output and the target, both (N, C, H, W) in [0, 1].
    optimizer:     a function of the parameters that builds it.
    scheduler:     a function of the optimizer and the number of steps that builds it.
    steps:         optimizer steps of the whole training.
    protocol:      how validation images are evaluated.
    ema:           decay of the averaged weights, which are evaluated and saved beside the raw ones.
    channels_last: memory format of images and weights: torch.channels_last (True) or contiguous (False).
    compile:       whether the network is trained through torch.compile.
    graph:         whether optimizer steps are recorded as CUDA graphs: see StepRecorder.

    Images are evaluated in float32, whatever the precision of training is.
    """

    def __init__(
        self,
        net: EncoderDecoder,
        config: Mapping[str, Any],
        settings: Mapping[str, Any],
        loss: nn.Module,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler],
        steps: int,
        protocol: EvaluationProtocol,
        ema: float = 0.999,
        channels_last: bool = True,
        compile: bool = False,
        graph: GraphSetting = "auto",
    ) -> None:
        super().__init__()
        check_protocol(net, protocol)
        self.config = dict(config)
        self.settings = dict(settings)
        self.loss = loss
        self.make_optimizer, self.make_scheduler = optimizer, scheduler
        self.steps = steps
        self.protocol = protocol
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.net = net.to(memory_format=self.memory_format)
        self.ema = EMA(self.net, ema)
        self.tallies: dict[Weights, dict[str, DatasetScores]] = {"ema": {}, "raw": {}}
        self._baselines: dict[tuple[str, str], Score] = {}
        self._compile = compile
        self.recorder = StepRecorder(graph)
        # In a list, since a module's modules end up in its checkpoints, and this one shares its weights with `net`.
        self._forward: list[Callable[[Tensor], Tensor]] = [self.net]

    def setup(self, stage: str) -> None:
        """Compile the network if the setting says so."""
        if self._compile and stage == "fit":
            self._forward = [torch.compile(self.net)]

    def configure_optimizers(self) -> Any:
        """The optimizer of the raw weights and its scheduler, which is stepped after every optimizer step."""
        optimizer = self.make_optimizer(self.net.parameters())
        scheduler = self.make_scheduler(optimizer, self.steps)
        schedule = {"scheduler": scheduler, "interval": "step", "reduce_on_plateau": False}
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Step the scheduler after an optimizer step; ReduceLROnPlateau is stepped after a validation instead."""
        if not isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step()

    def on_train_start(self) -> None:
        """Prepare the optimizer for a CUDA graph, now that its state is loaded."""
        self.recorder.start(self)

    def on_train_end(self) -> None:
        """Free the memory of the recorded step."""
        self.recorder.stop()

    def on_train_batch_start(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Record the optimizer step if it is due."""
        self.recorder.before_batch(self, batch, batch_idx)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """The loss of a batch. The replay of a step's last batch also updates the weights and their average."""
        loss = self.recorder.loss(self, batch, batch_idx)
        return self.batch_loss(batch) if loss is None else loss

    def batch_loss(self, batch: dict[str, Tensor]) -> Tensor:
        """The loss of {"lr": (N, 3, h, w), "hr": (N, 3, H, W)} of uint8, ()."""
        lr, hr = self._pictures(batch["lr"]), self._pictures(batch["hr"])
        return self.loss(self._forward[0](lr), hr)

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Backpropagate, unless the replay has done so."""
        if not self.recorder.replaying:
            super().backward(loss, *args, **kwargs)

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Optimizer) -> None:
        """Drop the gradients, unless a recorded step overwrites them."""
        if not self.recorder.replaying:
            super().optimizer_zero_grad(epoch, batch_idx, optimizer)

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Any,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """Step and average the weights, so that all that is saved after a step belongs to that step."""
        if self.recorder.replaying:
            assert optimizer_closure is not None
            optimizer_closure()  # replays the step, counts it, and hands the loss to Lightning
            return
        with self.recorder.launching():
            super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        self.ema.update(self.net, self.global_step + 1)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Stop after the last step: Lightning validates at a stop, but not at a last step between two intervals."""
        if self.global_step >= self.steps:
            self.trainer.should_stop = True

    def on_validation_epoch_start(self) -> None:
        """Begin the tallies of every set."""
        sets = self.trainer.datamodule.data.val_sets()  # pyright: ignore[reportAttributeAccessIssue]
        for weights in self.tallies:
            self.tallies[weights] = {name: empty_scores(name, store, self.protocol) for name, store in sets.items()}

    def validation_step(self, batch: dict[str, Any], batch_idx: int, dataloader_idx: int = 0) -> dict[str, Any]:
        """Score one picture by raw and averaged weights; what the averaged ones made of it is returned as "output"."""
        dataset = list(self.tallies["ema"])[dataloader_idx]
        name, scale = batch["name"], self.net.scale
        small, target = prepare_pair(batch["lr"], batch["hr"], batch["grey"], scale, self.protocol)
        baseline = self._baseline(dataset, name, small, target)
        _, raw = score_image(network_method(self.net), small, target, scale, self.protocol)
        output, averaged = score_image(network_method(self.ema.net), small, target, scale, self.protocol)
        self.tallies["raw"][dataset].add(name, raw, baseline)
        self.tallies["ema"][dataset].add(name, averaged, baseline)
        return {"dataset": dataset, "name": name, "output": output}

    def on_validation_epoch_end(self) -> None:
        """Log the means; `val/psnr`, the mean of the sets' means by averaged weights, is what `best` goes by."""
        self._gather_scores()
        scalars: dict[str, float] = {}
        for weights, tallies in self.tallies.items():
            suffix = "" if weights == "ema" else "_raw"
            for name, tally in tallies.items():
                network, baseline = tally.means()
                scalars[f"{name}/psnr{suffix}"], scalars[f"{name}/ssim{suffix}"] = network.psnr, network.ssim
                scalars[f"{name}/gain{suffix}"] = gain(baseline.psnr, network.psnr)
        # Not through self.log, which would name the step before the one that was validated.
        for logger in self.loggers:
            logger.log_metrics(scalars, self.global_step)
        overall = [tally.means()[0].psnr for tally in self.tallies["ema"].values()]
        self.log("val/psnr", sum(overall) / len(overall), logger=False)
        self.log("PSNR", sum(overall) / len(overall), prog_bar=True, logger=False)
        scheduler = self.lr_schedulers()
        if isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step(sum(overall) / len(overall))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the network's config, the settings and the step to a checkpoint."""
        checkpoint["upnet"] = describe(self.config, self.settings, self.net.scale, self.global_step)
        for state in checkpoint.get("optimizer_states", ()):
            self.recorder.restore_flags(state)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Migrate the weights of a checkpoint in an older format, before Lightning loads them."""
        checkpoint["state_dict"] = migrate(checkpoint["upnet"], checkpoint["state_dict"])[1]

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip gradients by norm or by value, as the Trainer's arguments say."""
        if self.trainer.precision == "16-mixed":
            # Only Lightning knows the scale that float16's gradients are multiplied by.
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
        elif gradient_clip_val:
            # Lightning refuses fused optimizers under mixed precision, which is right for float16 alone.
            by_value = (gradient_clip_algorithm or "norm").lower() == "value"
            clip = nn.utils.clip_grad_value_ if by_value else nn.utils.clip_grad_norm_
            clip(self.net.parameters(), gradient_clip_val)

    def _pictures(self, batch: Tensor) -> Tensor:
        """(N, 3, H, W) uint8 -> (N, C, H, W) float32 in [0, 1], with the channels of the network."""
        images = batch.to(dtype=torch.float32, memory_format=self.memory_format).div_(255)
        return images if self.net.channels == 3 else luma(images)

    def _gather_scores(self) -> None:
        """Share the scores of all processes, each of which evaluated a part of the images; in the order of the sets."""
        if self.trainer.world_size == 1:
            return
        parts: list[Any] = [None] * self.trainer.world_size
        torch.distributed.all_gather_object(parts, self.tallies)
        sets = self.trainer.datamodule.data.val_sets()  # pyright: ignore[reportAttributeAccessIssue]
        for weights, tallies in self.tallies.items():
            for name, tally in tallies.items():
                network = {key: score for part in parts for key, score in part[weights][name].method.items()}
                baseline = {key: score for part in parts for key, score in part[weights][name].baseline.items()}
                tally.method = {picture: network[picture] for picture in sets[name].names}
                tally.baseline = {picture: baseline[picture] for picture in sets[name].names}

    def _baseline(self, dataset: str, name: str, small: Tensor, target: Tensor) -> Score:
        """Bicubic's score of one picture: the same at every validation, so taken once."""
        if (dataset, name) not in self._baselines:
            bicubic = baseline_method("bicubic", self.net.scale)
            self._baselines[dataset, name] = score_image(bicubic, small, target, self.net.scale, self.protocol)[1]
        return self._baselines[dataset, name]
