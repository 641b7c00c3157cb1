"""What a training is made of: the network and how it learns, and Lightning's trainer."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Checkpoint, ProgressBar
from pytorch_lightning.loggers import Logger
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from upnet.cli.app import quiet
from upnet.config import ConfigError, build, build_factory
from upnet.inference.memory import available_bytes, is_oom
from upnet.metrics import EvaluationProtocol
from upnet.training.preflight import check_compiler, try_optimizer
from upnet.training.schedule import scheduler_factory
from upnet.training.task import Task
from upnet.training.trainer_arguments import check_arguments, check_monitors, check_processes, check_slurm, profiler_in
from upnet.utils.device import auto_device, lightning_precision

COPIES = 5
"""What training holds of every weight: itself, its average, its gradient, and the two moments of Adam."""
MOST_TENSORS = 10_000


@contextmanager
def within_memory() -> Iterator[None]:
    """Build a network inside; as soon as it can't be trained in the memory that is free, building ends.

    Raises ValueError then, before the memory is touched, and for a network of more than MOST_TENSORS tensors; what
    `upnet.config.build` makes of it is a ConfigError.
    """
    free, tensors, weights, needed = available_bytes(), 0, 0, 0

    def admit(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal tensors, weights, needed
        if parameter is None:
            return
        tensors, weights = tensors + 1, weights + parameter.numel()
        needed += COPIES * parameter.numel() * parameter.element_size()
        if tensors > MOST_TENSORS:
            raise ValueError(_refusal(f"has more than {MOST_TENSORS} tensors of weights"))
        if free is not None and needed > free:
            raise ValueError(
                _refusal(
                    f"has at least {weights} weights: training takes {needed / 2**30:.1f} GiB for them, and "
                    f"{free / 2**30:.1f} GiB are free"
                )
            )

    hook = register_module_parameter_registration_hook(admit)
    try:
        yield
    except ConfigError as fault:
        if not is_oom(fault) and "overflow" not in str(fault):
            raise
        asked = re.search(r"allocate (\d+) bytes", str(fault))
        told = f", a single layer of which takes {int(asked[1]) / 2**30:.0f} GiB" if asked else ""
        raise ConfigError(_refusal(f"doesn't fit into memory{told}")) from fault
    finally:
        hook.remove()


def _refusal(what: str) -> str:
    return f"the network {what}; lower model.encoder.width, model.encoder.depth or model.block.blocks"


ELSEWHERE = (
    *("seed", "cache_dir", "skip_broken", "lr_rounded_up", "copy_check", "max_pixels", "workers", "device"),
    *("root", "val_root", "test", "_target_"),
)
"""Settings of the data that don't change what is learnt from a picture; the pictures themselves are told by `train`."""


def training_settings(config: DictConfig) -> dict[str, Any]:
    """What a result depends on beside the network, as plain data; where files lie is none of it."""
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    data = {key: value for key, value in plain["data"].items() if key not in ELSEWHERE}
    chosen = ("seed", "loss", "optimizer", "scheduler", "ema", "precision", "steps")
    batch = {"accumulate": plain["trainer"]["accumulate_grad_batches"], "clip": plain["trainer"]["gradient_clip_val"]}
    return {"data": data, "batch": batch, **{key: plain[key] for key in chosen}}


def build_task(config: DictConfig, model: dict[str, Any], settings: dict[str, Any]) -> Task:
    """The network and how it learns. Raises ConfigError where a component refuses what it was given."""
    # On their own: torch checks a rate only once the optimizer is made, which is after the start.
    try_optimizer(config)
    with within_memory():
        net = build(config.model)
    return Task(
        net=net,
        config=model,
        settings=settings,
        loss=build(config.loss),
        optimizer=build(config.optimizer),
        scheduler=scheduler_factory(config.scheduler),
        steps=config.steps,
        protocol=EvaluationProtocol(**config.protocol),
        ema=config.ema,
        channels_last=config.channels_last,
        compile=config.compile,
        graph=config.graph,
    )


def build_trainer(config: DictConfig) -> pl.Trainer:
    """Lightning's trainer, in steps: one long epoch, validated every so many batches."""
    quiet()
    make_trainer = build_factory(config.trainer)
    check_arguments(make_trainer.keywords, config.steps)
    if not make_trainer.keywords.get("plugins"):  # which may name another environment than SLURM
        check_slurm()
    batches = config.steps * config.trainer.accumulate_grad_batches
    callbacks = [build(node) for node in config.callbacks.values() if node is not None]
    check_monitors(callbacks)
    accelerator = accelerator_of(config)
    precision = lightning_precision(str(config.precision), accelerator)  # pyright: ignore[reportArgumentType]
    if precision == "16-mixed" and config.trainer.gradient_clip_val and config.optimizer.get("fused"):
        raise ValueError("precision=16 clips no gradients for a fused optimizer; add optimizer.fused=false")
    try:
        trainer = make_trainer(
            accelerator=accelerator,
            precision=precision,
            callbacks=callbacks,
            logger=build_loggers(config) or False,
            profiler=profiler_in(config.run_dir, make_trainer.keywords.get("profiler")),
            default_root_dir=config.run_dir,
            val_check_interval=math.ceil(batches / config.validations),
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            enable_model_summary=False,
            use_distributed_sampler=False,
            enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in callbacks),
            enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
        )
    except ConfigError as fault:
        # Lightning refuses a device by one of these errors.
        if not isinstance(fault.__cause__, MisconfigurationException | ValueError | TypeError):
            raise
        told = " ".join(str(fault.__cause__).split()).rstrip(".!")
        raise ConfigError(
            f"trainer.accelerator={accelerator} with trainer.devices={config.trainer.devices} is refused: {told}; take "
            "trainer=cpu, trainer=gpu, or trainer=ddp for several"
        ) from fault
    check_processes(trainer)
    if config.compile:
        check_compiler(trainer.strategy.root_device)
    return trainer


def accelerator_of(config: DictConfig) -> str:
    """Lightning's accelerator: that of the fastest device for "auto", otherwise as the config has it."""
    if config.trainer.accelerator != "auto":
        return config.trainer.accelerator
    device = auto_device()
    return "gpu" if device == "cuda" else device


def build_loggers(config: DictConfig) -> list[Logger]:
    """The loggers of a run: `logger` is null, one component, or several in a list or by names."""
    built = build(config.logger)
    several = list(built.values()) if isinstance(built, dict) else built if isinstance(built, list) else [built]
    return [logger for logger in several if logger is not None]
