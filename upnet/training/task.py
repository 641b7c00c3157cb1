"""The LightningModule of a training run: network, loss, optimizer step and validation."""

from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from upnet.checkpoint import describe
from upnet.checkpoint.migration import migrate
from upnet.data import Store
from upnet.evaluation.scoring import check_protocol
from upnet.imaging.colour import luma
from upnet.metrics import EvaluationProtocol
from upnet.models import EncoderDecoder
from upnet.training.ema import EMA
from upnet.training.step_recorder import GraphSetting, StepRecorder
from upnet.training.validation import Validation


class Task(pl.LightningModule):
    """Train a network on batches {"lr": (N, 3, h, w), "hr": (N, 3, s·h, s·w)} of uint8, and validate it on images.

    net:           the network.
    config:        the config of the network as plain data. It is saved in checkpoints.
    settings:      the other settings that change the result, as plain data, see training_settings(). They are saved in
                   checkpoints, and a run resumes only with the same settings.
    loss:          a function of the output and the target, both (N, C, H, W), the target in [0, 1].
    optimizer:     builds the optimizer from the parameters.
    scheduler:     builds the scheduler from the optimizer and the number of steps.
    steps:         optimizer steps of the complete run.
    protocol:      how validation images are evaluated.
    ema:           decay of the moving average of the weights, which is evaluated and saved with the raw weights.
    channels_last: memory format of images and weights: torch.channels_last (True) or contiguous (False).
    compile:       whether the network is trained through torch.compile.
    graph:         whether optimizer steps are recorded as CUDA graphs, see StepRecorder.

    Validation images are evaluated in float32, whatever the precision of training is.
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
        self.validation = Validation(self.net, self.ema.net, protocol)
        self._compile = compile
        self.recorder = StepRecorder(graph)
        # In a list, since an attribute that is a module is saved in checkpoints: the compiled network would save the
        # weights of `net` a second time.
        self._forward: list[Callable[[Tensor], Tensor]] = [self.net]

    def setup(self, stage: str) -> None:
        """Compile the network if `compile` is set."""
        if self._compile and stage == "fit":
            self._forward = [torch.compile(self.net)]

    def configure_optimizers(self) -> Any:
        """Build the optimizer of the raw weights, and its scheduler, which is stepped after every optimizer step."""
        optimizer = self.make_optimizer(self.net.parameters())
        scheduler = self.make_scheduler(optimizer, self.steps)
        schedule = {"scheduler": scheduler, "interval": "step", "reduce_on_plateau": False}
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Step the scheduler after an optimizer step. ReduceLROnPlateau is stepped after a validation instead."""
        if not isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step()

    def on_train_start(self) -> None:
        """Prepare the optimizer for a CUDA graph. Its state has been loaded."""
        self.recorder.start(self)

    def on_train_end(self) -> None:
        """Free the memory of the recorded step."""
        self.recorder.stop()

    def on_train_batch_start(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Record the optimizer step if it is due."""
        self.recorder.before_batch(self, batch, batch_idx)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """The loss of a batch, a scalar tensor. Replaying the last batch of a step also updates weights and average."""
        loss = self.recorder.loss(self, batch, batch_idx)
        return self.batch_loss(batch) if loss is None else loss

    def batch_loss(self, batch: dict[str, Tensor]) -> Tensor:
        """The loss, a scalar tensor, of a batch {"lr": (N, 3, h, w), "hr": (N, 3, H, W)} of uint8."""
        lr, hr = self._to_network_images(batch["lr"]), self._to_network_images(batch["hr"])
        return self.loss(self._forward[0](lr), hr)

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Backpropagate, unless the replay has already done so."""
        if not self.recorder.replaying:
            super().backward(loss, *args, **kwargs)

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Optimizer) -> None:
        """Clear the gradients, unless a replayed step overwrites them."""
        if not self.recorder.replaying:
            super().optimizer_zero_grad(epoch, batch_idx, optimizer)

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Any,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """Step the optimizer and update the average, so that a checkpoint after a step contains both."""
        if self.recorder.replaying:
            assert optimizer_closure is not None
            optimizer_closure()  # replays the step, counts it, and passes the loss to Lightning
            return
        with self.recorder.eager_step():
            super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        self.ema.update(self.net, self.global_step + 1)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Stop after the last step, so that Lightning validates there even if no validation is due at this step."""
        if self.global_step >= self.steps:
            self.trainer.should_stop = True

    def on_validation_epoch_start(self) -> None:
        """Reset the scores."""
        self.validation.start(self._validation_sets())

    def validation_step(self, batch: dict[str, Any], batch_idx: int, dataloader_idx: int = 0) -> dict[str, Any]:
        """Evaluate an image; returns its data set, its name and the output of the averaged weights, (C, H, W)."""
        dataset = list(self._validation_sets())[dataloader_idx]
        return {"dataset": dataset, "name": batch["name"], "output": self.validation.evaluate(batch, dataset)}

    def on_validation_epoch_end(self) -> None:
        """Log the means over the images, and as `val/psnr` the mean PSNR that selects best.ckpt."""
        self.validation.gather(self._validation_sets(), self.trainer.world_size)
        # Not by self.log, which would log the step before the validated one.
        scalars = self.validation.scalars()
        for logger in self.loggers:
            logger.log_metrics(scalars, self.global_step)
        psnr = self.validation.mean_psnr()
        self.log("val/psnr", psnr, logger=False)
        self.log("PSNR", psnr, prog_bar=True, logger=False)
        scheduler = self.lr_schedulers()
        if isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step(psnr)

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
        """Clip the gradients by norm or by value, by the arguments of the Trainer."""
        if self.trainer.precision == "16-mixed":
            # Only Lightning knows the scale of float16 gradients.
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
        elif gradient_clip_val:
            # Not by Lightning, which rejects fused optimizers with every mixed precision; only float16 requires this.
            by_value = (gradient_clip_algorithm or "norm").lower() == "value"
            clip = nn.utils.clip_grad_value_ if by_value else nn.utils.clip_grad_norm_
            clip(self.net.parameters(), gradient_clip_val)

    def _to_network_images(self, batch: Tensor) -> Tensor:
        """(N, 3, H, W) uint8 -> (N, C, H, W) float32 in [0, 1]: RGB, or luma for a network of one channel."""
        images = batch.to(dtype=torch.float32, memory_format=self.memory_format).div_(255)
        return images if self.net.channels == 3 else luma(images)

    def _validation_sets(self) -> Mapping[str, Store]:
        return self.trainer.datamodule.data.val_sets()  # pyright: ignore[reportAttributeAccessIssue]
