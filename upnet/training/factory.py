"""Build what a training consists of: the task with its network, and Lightning's Trainer."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import Checkpoint, ProgressBar
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from upnet.config import build, build_factory
from upnet.config.schema import TrainSettings
from upnet.config.signatures import locate
from upnet.inference.memory import available_bytes, is_oom
from upnet.metrics import EvaluationProtocol
from upnet.training.preflight import check_compiler, try_optimizer
from upnet.training.schedule import scheduler_factory
from upnet.training.task import Task
from upnet.training.trainer_arguments import (
    check_arguments,
    check_monitors,
    check_processes,
    check_slurm,
    configure_profiler,
    silence_lightning,
)
from upnet.utils.device import auto_device, lightning_precision
from upnet.utils.errors import UserError

WEIGHT_COPIES = 5
"""Copies of every weight in a training: the weight, its moving average, its gradient, and the two moments of Adam."""
MAX_TENSORS = 10_000

NOT_RECORDED = (
    *("seed", "cache_dir", "skip_broken", "lr_rounded_up", "copy_check", "max_pixels", "workers", "device"),
    *("root", "val_root", "test", "_target_"),
)
"""Settings of the data that `training_settings` leaves out: they don't change what is learnt from an image.

The images themselves are recorded by the setting `train`.
"""


@contextmanager
def limit_memory() -> Iterator[None]:
    """Stop building a network in this context as soon as it is too large to be trained in the free memory.

    Raises UserError before the memory is allocated, also for a network of more than MAX_TENSORS tensors.
    """
    free, tensors, weights, needed = available_bytes(), 0, 0, 0

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal tensors, weights, needed
        if parameter is None:
            return
        tensors, weights = tensors + 1, weights + parameter.numel()
        needed += WEIGHT_COPIES * parameter.numel() * parameter.element_size()
        if tensors > MAX_TENSORS:
            raise _too_large(f"has more than {MAX_TENSORS} tensors of weights")
        if free is not None and needed > free:
            raise _too_large(
                f"has at least {weights} weights: training needs {needed / 2**30:.1f} GiB for them, and "
                f"{free / 2**30:.1f} GiB are free"
            )

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # of torch's allocator, for a single layer that is too large
        if not is_oom(error) and "overflow" not in str(error):
            raise
        size = re.search(r"allocate (\d+) bytes", str(error))
        layer = f"; one of its layers needs {int(size[1]) / 2**30:.0f} GiB" if size else ""
        raise _too_large(f"does not fit into memory{layer}") from error
    finally:
        hook.remove()


def _too_large(problem: str) -> UserError:
    return UserError(
        f"the network {problem}",
        setting="model",
        cure="Lower model.encoder.width, model.encoder.depth or model.block.blocks",
    )


def training_settings(settings: TrainSettings) -> dict[str, Any]:
    """What a result depends on besides the network, as plain data. The paths of files are left out."""
    trainer = settings.trainer
    return {
        "data": {key: value for key, value in settings.data.items() if key not in NOT_RECORDED},
        "batch": {
            "accumulate": trainer.get("accumulate_grad_batches", 1),
            "clip": trainer.get("gradient_clip_val"),
        },
        "seed": settings.seed,
        "loss": settings.loss,
        "optimizer": settings.optimizer,
        "scheduler": settings.scheduler,
        "ema": settings.ema,
        "precision": settings.precision,
        "steps": settings.steps,
    }


def build_task(settings: TrainSettings) -> Task:
    """The network and how it is trained. Raises ConfigError if a component rejects its arguments."""
    # First, since torch validates a learning rate only when the optimizer is built, which is after the start.
    try_optimizer(settings)
    with limit_memory():
        net = build(settings.model, "model")
    return Task(
        net=net,
        config=settings.model,
        settings=training_settings(settings),
        loss=build(settings.loss, "loss"),
        optimizer=build(settings.optimizer, "optimizer"),
        scheduler=scheduler_factory(settings.scheduler, "scheduler"),
        steps=settings.steps,
        protocol=EvaluationProtocol(**asdict(settings.protocol)),
        ema=settings.ema,
        channels_last=settings.channels_last,
        compile=settings.compile,
        graph=settings.graph,
    )


def build_trainer(settings: TrainSettings, resume_step: int | None = None) -> pl.Trainer:
    """Lightning's Trainer, which counts in steps: one long epoch, validated at equal intervals.

    resume_step: the step after which a resumed run continues; None for a run from the start.

    Raises UserError for arguments that a run does not support.
    """
    silence_lightning()
    make_trainer = build_factory(settings.trainer, "trainer")
    arguments = make_trainer.keywords
    check_arguments(arguments, settings.steps)
    if not arguments.get("plugins"):  # which may name another environment than SLURM
        check_slurm()
    batches = settings.steps * arguments.get("accumulate_grad_batches", 1)
    callbacks = [build(node, f"callbacks.{name}") for name, node in settings.callbacks.items() if node is not None]
    check_monitors(callbacks)
    accelerator = select_accelerator(settings)
    precision = lightning_precision(str(settings.precision), accelerator)  # pyright: ignore[reportArgumentType]
    if precision == "16-mixed" and arguments.get("gradient_clip_val") and settings.optimizer.get("fused"):
        raise UserError(
            "gradients of a fused optimizer cannot be clipped",
            setting="precision",
            value=settings.precision,
            cure="Add optimizer.fused=false",
        )
    try:
        trainer = make_trainer(
            accelerator=accelerator,
            precision=precision,
            callbacks=callbacks,
            logger=build_loggers(settings, resume_step) or False,
            profiler=configure_profiler(arguments.get("profiler"), settings.run_dir),
            default_root_dir=settings.run_dir,
            val_check_interval=math.ceil(batches / settings.validations),
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            enable_model_summary=False,
            use_distributed_sampler=False,
            enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in callbacks),
            enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
        )
    except (MisconfigurationException, ValueError, TypeError) as error:  # by which Lightning rejects a device
        cause = error.__cause__ or error
        raise UserError(
            f"rejected with trainer.devices={arguments.get('devices', 'auto')}: {' '.join(str(cause).split())}",
            setting="trainer.accelerator",
            value=accelerator,
            cure="Set trainer=cpu, trainer=gpu, or trainer=ddp for several devices",
        ) from error
    check_processes(trainer)
    if settings.compile:
        check_compiler(trainer.strategy.root_device)
    return trainer


def select_accelerator(settings: TrainSettings) -> str:
    """Lightning's accelerator: that of the fastest device for "auto", else the setting."""
    accelerator = settings.trainer.get("accelerator", "auto")
    if accelerator != "auto":
        return accelerator
    device = auto_device()
    return "gpu" if device == "cuda" else device


def build_loggers(settings: TrainSettings, resume_step: int | None = None) -> list[Logger]:
    """The loggers of the setting `logger`: null, one component, or several in a list or by names.

    resume_step: the step after which a resumed run continues. A killed run has often logged more than it saved:
                 `purge_step` makes TensorBoard hide what earlier event files hold of later steps.
    """
    nodes = settings.logger
    if nodes is None:
        return []
    if isinstance(nodes, list):
        paths = {f"logger[{index}]": node for index, node in enumerate(nodes)}
    elif "_target_" in nodes:
        paths = {"logger": nodes}
    else:
        paths = {f"logger.{name}": node for name, node in nodes.items() if node is not None}
    loggers: list[Logger] = []
    for path, node in paths.items():
        target = locate(str(node["_target_"]), f"{path}._target_")
        if resume_step is not None and isinstance(target, type) and issubclass(target, TensorBoardLogger):
            node = {"purge_step": resume_step + 1, **node}
        loggers.append(build(node, path))
    return loggers
