"""A training run, from checked settings to results.json."""

import logging
import time
from pathlib import Path
from typing import Any, TypeVar

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger

from upnet.audit.leakage import warn_of_leakage
from upnet.config import build
from upnet.config.compose import to_yaml
from upnet.config.schema import TrainSettings
from upnet.data import SRData, SRDataModule
from upnet.evaluation.results import write_json
from upnet.evaluation.scoring import check_sizes
from upnet.training.callbacks import AtomicCheckpointIO, Checkpoints, SaveAtInterrupt
from upnet.training.factory import build_task, training_settings
from upnet.training.history import HistoryLogger
from upnet.training.resume import ResumePoint, check_resume, find_checkpoint
from upnet.training.run_files import (
    check_path,
    exclusive_run_dir,
    explain_disk_errors,
    reject_overwrite,
    remove_events,
)
from upnet.training.run_summary import finalize
from upnet.training.task import Task
from upnet.training.trainer import build_trainer, translate_lightning_errors
from upnet.utils.allocator import TRAINING_KERNELS, limit_onednn_cache, malloc_trim, retain_malloc_blocks
from upnet.utils.atomic_io import atomic_write
from upnet.utils.errors import InterruptedRunError
from upnet.utils.overrides import format_override
from upnet.utils.provenance import versions
from upnet.utils.run_dirs import LAST

Callback = TypeVar("Callback", bound=pl.Callback)

log = logging.getLogger(__name__)


def train(settings: TrainSettings) -> dict[str, Any]:
    """Train a network, evaluate it, and return the content of results.json.

    settings: the result of `upnet.config.check`.

    Raises UserError before the training if a setting is wrong, or if the folder belongs to another run;
    InterruptedRunError after a signal; NonFiniteLossError for a NaN or infinite loss; UnwritableRunError if a file
    cannot be written.
    """
    if settings.keep_memory:
        retain_malloc_blocks()
    limit_onednn_cache(TRAINING_KERNELS)
    if settings.compile:
        # Otherwise torch counts the networks of a multirun as recompilations of one network, and reaches its limit.
        torch.compiler.reset()
    folder = Path(settings.run_dir)
    check_path(folder)
    recorded = training_settings(settings)
    resume = find_checkpoint(settings.ckpt, folder, settings.model, recorded, settings.steps)
    pl.seed_everything(settings.seed, workers=True, verbose=False)

    data = build(settings.data, "data")
    assert isinstance(data, SRData)
    task = build_task(settings)
    trainer = build_trainer(settings, None if resume is None else resume.step)
    trainer.loggers = [*trainer.loggers, HistoryLogger(folder)]
    data.check_device(trainer.strategy.root_device.type)
    task.recorder.check_device(trainer.strategy.root_device)
    data.prepare(trainer.world_size)
    if trainer.is_global_zero:
        warn_of_leakage(data.train_store(), data.val_sets(), data.copy_check)
    check_sizes(data.val_sets(), task.net.scale, task.protocol)
    if resume is None:
        task.net.load_pretrained()
    if not trainer.checkpoint_callback:
        log.warning("callbacks.checkpoints is null: this run saves no checkpoints")
    with exclusive_run_dir(folder, trainer.is_global_zero):
        if settings.ckpt is None and trainer.is_global_zero:
            reject_overwrite(folder)
        try:
            with explain_disk_errors(folder):
                return _run(settings, task, trainer, data, resume)
        finally:
            if settings.keep_memory:
                malloc_trim()


def _run(
    settings: TrainSettings, task: Task, trainer: pl.Trainer, data: SRData, resume: ResumePoint | None
) -> dict[str, Any]:
    """Train and evaluate. Only this part of train() writes to the folder of the run."""
    checkpoints = _callback(trainer, Checkpoints)
    # Lightning then uses the content that was read to check the checkpoint, and does not read the file again.
    trainer.strategy.checkpoint_io = AtomicCheckpointIO(checkpoints.keep if checkpoints else 0, resume)
    if resume is not None:
        check_resume(resume, task, trainer)
    if trainer.is_global_zero:
        _prepare_logs(trainer, None if resume is None else resume.step)
        write_config(settings, trainer, 0 if resume is None else resume.step)

    started = time.perf_counter()
    with translate_lightning_errors():
        trainer.fit(task, datamodule=SRDataModule(data), ckpt_path=resume and resume.path, weights_only=True)
    interrupt = _callback(trainer, SaveAtInterrupt)
    signal = interrupt.signal if interrupt else 0
    if signal and task.global_step < settings.steps:
        folder = Path(settings.run_dir)
        last = checkpoints.last if checkpoints else folder / "checkpoints" / LAST
        if checkpoints is None:  # otherwise the callback has saved it
            trainer.save_checkpoint(last)
        raise InterruptedRunError(
            f"saved step {task.global_step} of {settings.steps}. Continue with the same command and "
            f"{format_override('ckpt', last)} {format_override('hydra.run.dir', folder)}",
            signal,
        )
    minutes = (time.perf_counter() - started) / 60
    return finalize(settings, task, trainer, data, minutes)


def _callback(trainer: pl.Trainer, kind: type[Callback]) -> Callback | None:
    """The first callback of a class; None if the trainer has none."""
    callbacks: list[pl.Callback] = trainer.callbacks  # pyright: ignore[reportAttributeAccessIssue]
    return next((callback for callback in callbacks if isinstance(callback, kind)), None)


def _prepare_logs(trainer: pl.Trainer, step: int | None) -> None:
    """Remove from the logs of a run the entries after `step`; with None, those of an earlier start."""
    for logger in trainer.loggers:
        if isinstance(logger, HistoryLogger):
            logger.truncate(step)
        elif isinstance(logger, TensorBoardLogger) and step is None:
            remove_events(logger)


def write_config(settings: TrainSettings, trainer: pl.Trainer, step: int) -> None:
    """Write config.yaml and versions.json, and log the config as text to TensorBoard at `step`."""
    folder = Path(settings.run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    text = to_yaml(settings)
    atomic_write(text, folder / "config.yaml")
    write_json(versions(), folder / "versions.json")
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_text("config", "\n".join(f"    {line}" for line in text.splitlines()), step)
