"""Build the task of a training run from its settings, within the memory that is available."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from upnet.config import build
from upnet.config.schema import TrainSettings
from upnet.metrics import EvaluationProtocol
from upnet.training.preflight import try_optimizer
from upnet.training.schedule import scheduler_factory
from upnet.training.task import Task
from upnet.utils.errors import UserError
from upnet.utils.free_memory import available_bytes, is_oom

WEIGHT_COPIES = 5
"""Copies of every weight during training: the weight, its moving average, its gradient, and the two moments of Adam."""

MAX_TENSORS = 10_000
"""The largest number of parameter tensors of a network."""

NOT_RECORDED = {
    "seed",
    "cache_dir",
    "skip_broken",
    "lr_rounded_up",
    "copy_check",
    "max_pixels",
    "workers",
    "device",
    "root",
    "val_root",
    "test",
    "_target_",
}
"""Data settings that training_settings() excludes, since they do not change what is learnt from an image.

The images are recorded by the setting `train`.
"""


@contextmanager
def limit_memory() -> Iterator[None]:
    """Raise UserError if a network that is built in this context is too large to train in the free memory.

    The parameters are counted before their memory is allocated. More than MAX_TENSORS parameter tensors are an error,
    too.
    """
    free, tensors, weights, needed = available_bytes(), 0, 0, 0

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal tensors, weights, needed
        if parameter is None:
            return
        tensors, weights = tensors + 1, weights + parameter.numel()
        needed += WEIGHT_COPIES * parameter.numel() * parameter.element_size()
        if tensors > MAX_TENSORS:
            raise _too_large(f"has more than {MAX_TENSORS} weight tensors")
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
    """The settings besides the network that change the result of training, as plain data. File paths are excluded."""
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
    """Build the network and the task that trains it. Raises UserError if a component rejects its arguments."""
    # First: without it, torch would check the learning rate only after the data and the run folder are prepared.
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
