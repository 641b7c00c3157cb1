"""From a config to results.json: train, score, tell."""

import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import Logger, TensorBoardLogger

from upnet.audit.leakage import warn_of_leakage
from upnet.cli.app import InterruptedRunError
from upnet.config import build
from upnet.data import SRData, SRDataModule
from upnet.evaluation.figures import draw_comparison
from upnet.evaluation.optional_output import optional_output
from upnet.evaluation.results import results_content, write_json
from upnet.evaluation.scoring import check_sizes
from upnet.evaluation.tables import print_results
from upnet.models.complexity import parameters
from upnet.training.callbacks import Checkpoints, SaveAtInterrupt
from upnet.training.factory import build_task, build_trainer, training_settings
from upnet.training.resume import CONCLUDED, NOT_DRAWN, find_checkpoint, first_step
from upnet.training.run_files import forget_after, told_where_unwritable
from upnet.training.run_summary import hyperparameters, print_next_commands
from upnet.training.task import Task
from upnet.training.trainer_arguments import refusals_of_lightning
from upnet.utils.allocator import TRAINING_KERNELS, limit_onednn_cache, malloc_trim, retain_malloc_blocks
from upnet.utils.atomic_io import atomic_write
from upnet.utils.device import device_name
from upnet.utils.lock import locked
from upnet.utils.overrides import format_override
from upnet.utils.printable import escape_unprintable
from upnet.utils.provenance import versions
from upnet.utils.run_dirs import LAST

log = logging.getLogger(__name__)


def train(config: DictConfig) -> dict[str, Any]:
    """Train, score and tell. The content of results.json comes back.

    Raises ValueError for whatever can be known to be wrong before training, also where another run is at work in the
    same folder or has left its checkpoints there; InterruptedRunError after a Ctrl-C, NonFiniteLossError where the loss
    is lost, and UnwritableRunError where the disk is full.
    """
    if config.keep_memory:
        retain_malloc_blocks()
    limit_onednn_cache(TRAINING_KERNELS)
    if config.compile:
        # A multirun compiles every network anew, and torch counts them all as one that changes too often.
        torch.compiler.reset()
    folder = Path(config.run_dir)
    path = str(folder.absolute())
    if any(0xD800 <= ord(letter) < 0xE000 for letter in path):
        raise ValueError(
            f"hydra.run.dir={escape_unprintable(path)} has bytes that aren't UTF-8, and TensorBoard can't write there; "
            "name another folder by hydra.run.dir="
        )
    model = OmegaConf.to_container(config.model, resolve=True)
    assert isinstance(model, dict)
    settings = training_settings(config)
    resume = find_checkpoint(config.ckpt, folder, model, settings, config.steps)
    pl.seed_everything(config.seed, workers=True, verbose=False)

    data = build(config.data)
    assert isinstance(data, SRData)
    task = build_task(config, {str(key): value for key, value in model.items()}, settings)
    trainer = build_trainer(config)
    data.check_device(trainer.strategy.root_device.type)
    task.recorder.check_device(trainer.strategy.root_device)
    data.prepare(trainer.world_size)
    if trainer.is_global_zero:
        warn_of_leakage(data.train_store(), data.val_sets(), data.copy_check)
    check_sizes(data.val_sets(), task.net.scale, task.protocol)
    if resume is None:
        task.net.load_pretrained()
    if not trainer.checkpoint_callback:
        log.warning("nothing of this run will be saved: callbacks.checkpoints is null")
    with alone(folder, trainer.is_global_zero):
        if config.ckpt is None and trainer.is_global_zero:
            refuse_to_replace(folder)
        try:
            with told_where_unwritable(folder):
                return _run(config, task, trainer, data, resume)
        finally:
            if config.keep_memory:
                malloc_trim()


def _run(config: DictConfig, task: Task, trainer: pl.Trainer, data: SRData, resume: Path | None) -> dict[str, Any]:
    """What writes into the run's folder."""
    folder = Path(config.run_dir)
    step = None if resume is None else first_step(resume, task, trainer)
    if trainer.is_global_zero:
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                forget_after(Path(logger.log_dir), step)
    write_config(config, folder, trainer)

    started = time.perf_counter()
    with refusals_of_lightning():
        trainer.fit(task, datamodule=SRDataModule(data), ckpt_path=resume, weights_only=True)
    signal = next((call.signal for call in trainer.callbacks if isinstance(call, SaveAtInterrupt)), 0)  # pyright: ignore[reportAttributeAccessIssue]
    if signal and task.global_step < config.steps:
        last = next((call.last for call in trainer.callbacks if isinstance(call, Checkpoints)), None)  # pyright: ignore[reportAttributeAccessIssue]
        if last is None:  # without that callback nothing is saved yet
            last = folder / "checkpoints" / LAST
            trainer.save_checkpoint(last)
        raise InterruptedRunError(
            f"saved step {task.global_step} of {config.steps}. Go on by the same command with "
            f"{format_override('ckpt', last)} {format_override('hydra.run.dir', folder)}",
            signal,
        )
    minutes = (time.perf_counter() - started) / 60
    return conclude(config, task, trainer, data, minutes)


@contextmanager
def alone(folder: Path, hold: bool = True) -> Iterator[None]:
    """Hold a run's folder; of several processes, one does.

    Raises ValueError where another run has it, since the two would write over each other's files, and where nothing can
    be written to it.
    """

    def refuse() -> None:
        raise ValueError(
            f"another run is at work in {folder}; wait for it, or give this one a folder by hydra.run.dir="
        )

    if not hold:
        yield
        return
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(folder / ".lock", refuse))
        except OSError as fault:
            raise ValueError(
                f"{folder} can't be written: {fault.strerror}; name a folder that can by hydra.run.dir="
            ) from fault
        yield


def refuse_to_replace(folder: Path) -> None:
    """Raise ValueError where a run from the start would write over the checkpoints of an earlier one."""
    last = folder / "checkpoints" / LAST
    if last.is_file():
        raise ValueError(
            f"{folder} holds the checkpoints of another run; go on with it by {format_override('ckpt', last)}, or give "
            "this one a folder by hydra.run.dir="
        )


def write_config(config: DictConfig, folder: Path, trainer: pl.Trainer) -> None:
    """The resolved config and the versions, in the run's folder and as text in TensorBoard."""
    if not trainer.is_global_zero:
        return
    folder.mkdir(parents=True, exist_ok=True)
    text = OmegaConf.to_yaml(config, resolve=True)
    atomic_write(text, folder / "config.yaml")
    write_json(versions(), folder / "versions.json")
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_text("config", "\n".join(f"    {line}" for line in text.splitlines()))


def conclude(config: DictConfig, task: Task, trainer: pl.Trainer, data: SRData, minutes: float) -> dict[str, Any]:
    """The last scores as results.json, a table, hyperparameters in the loggers, a picture, and what to do next.

    results.json comes first; what illustrates it may fail, and is then a warning. The picture is written last, and is
    what tells that nothing is missing; where it can't be drawn, `NOT_DRAWN` with the reason is there instead.
    """
    tallies = list(task.tallies["ema"].values())
    assert min((len(tally.method) for tally in tallies), default=0) > 0, "a run ends with a validation"
    task.eval()
    folder = Path(config.run_dir)
    count = parameters(task.net)
    device = trainer.strategy.root_device  # the task's own is the CPU again, once Lightning is through
    extra = {
        "method": {"kind": "network", "name": folder.name},
        "model": task.config,
        "scale": task.net.scale,
        "parameters": count,
        "step": task.global_step,
        "weights": "ema",
        "settings": task.settings,
        "seed": config.seed,
        "val_root": data.val_root,
        "minutes": round(minutes, 3),
        "device": device_name(device),
        "tile": "auto",
        "raw": {name: tally.to_dict() for name, tally in task.tallies["raw"].items()},
        "versions": versions(),
    }
    content = results_content(tallies, task.protocol.describe(task.net.scale), extra)
    if not trainer.is_global_zero:
        return content
    write_json(content, folder / "results.json")
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    settings = {str(key): value for key, value in plain.items()}
    metrics = {
        f"final/{name}/{what}": float(told[what])
        for name, told in content["datasets"].items()
        for what in ("psnr", "ssim")
    }
    for logger in trainer.loggers:
        with optional_output(f"the last entry of {type(logger).__name__}"):
            _log_remarks(logger, content, task.global_step)
            if isinstance(logger, TensorBoardLogger):
                logger.log_hyperparams(hyperparameters(settings, count), metrics)
            else:  # which take no metrics with them
                logger.log_hyperparams(hyperparameters(settings, count))
                logger.log_metrics(metrics, task.global_step)
            logger.finalize("success")  # or its file and its thread would stay open
    _draw(task, data, content, folder)
    with optional_output("the printed table"):
        print_results(content)
        print_next_commands(folder, settings)
    return content


def _log_remarks(logger: Logger, content: Mapping[str, Any], step: int) -> None:
    """Which images don't count in the means, or count in a way of their own, as text in TensorBoard."""
    if isinstance(logger, TensorBoardLogger):
        for name, told in content["datasets"].items():
            if "remark" in told:
                logger.experiment.add_text(f"{name}/means", told["remark"], step)


def _draw(task: Task, data: SRData, content: Mapping[str, Any], folder: Path) -> None:
    """The comparison image, or the reason why there is none."""
    (folder / NOT_DRAWN).unlink(missing_ok=True)
    with optional_output("the comparison image") as drawn, torch.no_grad():
        draw_comparison(task.ema.net, data.val_sets(), content, folder / ".comparison.png")
        os.replace(folder / ".comparison.png", folder / CONCLUDED)
    if drawn.failure is not None:
        with optional_output(NOT_DRAWN):
            atomic_write(f"{drawn.failure}\n", folder / NOT_DRAWN)
