"""Build Lightning's Trainer and its loggers from the settings of a training run."""

import logging
import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import Checkpoint, ProgressBar
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from pytorch_lightning.strategies import DDPStrategy, SingleDeviceStrategy

from upnet.config import ConfigError, build, build_factory
from upnet.config.schema import TrainSettings
from upnet.config.signatures import locate
from upnet.training.preflight import check_compiler
from upnet.training.trainer_arguments import check_arguments, check_monitors, configure_profiler, rejected_argument
from upnet.utils.device import LightningPrecision, auto_device, lightning_precision
from upnet.utils.errors import UserError


def build_trainer(settings: TrainSettings, resume_step: int | None = None) -> pl.Trainer:
    """Lightning's Trainer for one epoch of `steps` optimizer steps, with validations at equal intervals.

    resume_step: the step after which a resumed run continues; None for a run from the start.

    Raises UserError for arguments that a run does not support, and for a device that is not available.
    """
    silence_lightning()
    make_trainer = build_factory(settings.trainer, "trainer")
    arguments = make_trainer.keywords
    check_arguments(arguments, settings.steps)
    if not arguments.get("plugins"):  # a plugin may select another environment than SLURM
        check_slurm()
    batches = settings.steps * arguments.get("accumulate_grad_batches", 1)
    callbacks = [build(node, f"callbacks.{name}") for name, node in settings.callbacks.items() if node is not None]
    check_monitors(callbacks)
    accelerator = select_accelerator(settings)
    precision = _select_precision(settings, accelerator)
    loggers = build_loggers(settings, resume_step)
    profiler = configure_profiler(arguments.get("profiler"), settings.run_dir)
    with _explain_rejected_device(accelerator, arguments.get("devices", "auto")):
        trainer = make_trainer(
            accelerator=accelerator,
            precision=precision,
            callbacks=callbacks,
            logger=loggers or False,
            profiler=profiler,
            default_root_dir=settings.run_dir,
            val_check_interval=math.ceil(batches / settings.validations),
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            enable_model_summary=False,
            use_distributed_sampler=False,
            enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in callbacks),
            enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
        )
    check_processes(trainer)
    if settings.compile:
        check_compiler(trainer.strategy.root_device)
    return trainer


@contextmanager
def _explain_rejected_device(accelerator: str, devices: object) -> Iterator[None]:
    """Raise UserError if Lightning rejects the accelerator or the devices."""
    try:
        yield
    except (MisconfigurationException, ConfigError, TypeError) as error:
        if isinstance(error, ConfigError) and error.__cause__ is None:
            raise  # the config of the Trainer is wrong, and not the device
        reason = error.__cause__ or error  # build_factory() wraps a ValueError of Lightning in a ConfigError
        raise UserError(
            f"Lightning rejects it with trainer.devices={devices}: {' '.join(str(reason).split()).rstrip('.!')}",
            setting="trainer.accelerator",
            value=accelerator,
            cure="Set trainer=cpu or trainer=auto, or trainer=ddp for several GPUs",
        ) from error


def _select_precision(settings: TrainSettings, accelerator: str) -> LightningPrecision:
    """Lightning's name of the precision. Raises UserError if it cannot be combined with the other settings."""
    precision = lightning_precision(str(settings.precision), accelerator)  # pyright: ignore[reportArgumentType]
    if precision == "16-mixed" and settings.trainer.get("gradient_clip_val") and settings.optimizer.get("fused"):
        raise UserError(
            "gradients of a fused optimizer cannot be clipped",
            setting="precision",
            value=settings.precision,
            cure="Add optimizer.fused=false",
        )
    return precision


def select_accelerator(settings: TrainSettings) -> str:
    """The name of Lightning's accelerator: for "auto" that of the fastest device, else the setting."""
    accelerator = settings.trainer.get("accelerator", "auto")
    if accelerator != "auto":
        return accelerator
    device = auto_device()
    return "gpu" if device == "cuda" else device


def build_loggers(settings: TrainSettings, resume_step: int | None = None) -> list[Logger]:
    """Build the loggers of the setting `logger`: null, one component, or a list or mapping of several.

    resume_step: the step after which a resumed run continues. A killed run may have logged later steps than it saved:
                 `purge_step` makes TensorBoard hide them.
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


def check_processes(trainer: Any) -> None:
    """Raise UserError for a strategy that upnet does not support, or if not all processes have been started."""
    if not isinstance(trainer, pl.Trainer):
        reason = f"must build a pytorch_lightning.Trainer, not a {type(trainer).__name__}"
        raise UserError(reason, setting="trainer._target_")
    strategy = trainer.strategy
    forks = getattr(strategy, "_start_method", "popen") != "popen"
    if forks or type(strategy) not in (SingleDeviceStrategy, DDPStrategy):
        reason = "upnet supports one device and ddp, whose processes the command line starts"
        raise rejected_argument("strategy", type(strategy).__name__, reason, "Set trainer=ddp for several devices")
    environment = getattr(strategy, "cluster_environment", None)
    if trainer.num_nodes > 1 and type(environment) is LightningEnvironment and "MASTER_ADDR" not in os.environ:
        raise rejected_argument(
            "num_nodes",
            trainer.num_nodes,
            "the training would wait for other machines, but no launcher started this process",
            "Start every process by srun or torchrun, or set MASTER_ADDR, MASTER_PORT and NODE_RANK",
        )
    if type(environment) in (SLURMEnvironment, type(None)) and trainer.world_size != (tasks := _slurm_tasks()) > 1:
        raise _slurm_error(tasks)


def check_slurm() -> None:
    """Raise UserError if the SLURM job has several processes, and srun did not start this one."""
    tasks = _slurm_tasks()
    if tasks > 1 and not {"SLURM_STEP_ID", "SLURM_NTASKS_PER_NODE"} <= os.environ.keys():
        raise _slurm_error(tasks)


def _slurm_tasks() -> int:
    """The number of processes of the SLURM job; 1 outside of SLURM and, as in Lightning, in an interactive job."""
    text = os.environ.get("SLURM_NTASKS", "")
    return int(text) if text.isdigit() and SLURMEnvironment.job_name() not in ("bash", "interactive") else 1


def _slurm_error(tasks: int) -> UserError:
    return UserError(
        f"the SLURM job has {tasks} processes, but this training was not started with {tasks}",
        setting="SLURM_NTASKS",
        value=tasks,
        cure=(
            "Set SLURM_NTASKS=1 in front of the command to train in one process, or start it by srun with "
            f"--ntasks-per-node={tasks} and trainer=ddp trainer.devices={tasks}"
        ),
    )


@contextmanager
def translate_lightning_errors() -> Iterator[None]:
    """Raise UserError where Lightning rejects a combination of settings or callbacks."""
    try:
        yield
    except MisconfigurationException as error:
        raise UserError(f"Lightning rejects these settings: {' '.join(str(error).split())}") from error


def silence_lightning() -> None:
    """Suppress Lightning's warnings about choices that upnet makes on purpose."""
    for name in ("pytorch_lightning", "pytorch_lightning.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        r".*does not have many workers.*",
        r".*Checkpoint directory .* exists.*",
        r".*isinstance\(treespec, LeafSpec\).*",
        r".*smaller than the logging interval.*",
        r".*constructed with capturable=True.*",
    ):
        warnings.filterwarnings("ignore", message)
