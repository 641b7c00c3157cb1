"""One training: built from a checked config, run, scored, told."""

import logging
import math
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Checkpoint, ProgressBar
from pytorch_lightning.loggers import TensorBoardLogger

from upnet.callbacks import SaveAtInterrupt
from upnet.checkpoint import read
from upnet.config import build
from upnet.data import DataModule
from upnet.figures import draw_comparison
from upnet.memory import keep_large_blocks
from upnet.metrics import Protocol
from upnet.precision import lightning_precision
from upnet.report import hyperparameters, next_commands, print_results
from upnet.results import results, write_json
from upnet.running import InterruptedRunError, quiet
from upnet.study.cost import parameters
from upnet.task import Task
from upnet.versions import versions

log = logging.getLogger(__name__)

ELSEWHERE = ("seed", "cache_dir", "skip_broken", "workers", "root", "val_root", "_target_")
"""Settings of the data that don't change what is learnt from a picture; the pictures themselves are told by `train`."""


def train(config: DictConfig) -> dict[str, Any]:
    """Train, score and tell. The content of results.json comes back.

    Raises ValueError for whatever can be known to be wrong before training, InterruptedRunError after a Ctrl-C, and
    NonFiniteLossError where the loss is lost.
    """
    if config.keep_memory:
        keep_large_blocks()
    if config.compile:
        # A multirun compiles every network anew, and torch counts them all as one that changes too often.
        torch.compiler.reset()
    folder = Path(config.run_dir)
    model = OmegaConf.to_container(config.model, resolve=True)
    assert isinstance(model, dict)
    settings = training_settings(config)
    resume = find_checkpoint(config.ckpt, model, settings, config.steps)
    pl.seed_everything(config.seed, workers=True, verbose=False)

    data = build(config.data)
    assert isinstance(data, DataModule)
    task = build_task(config, {str(key): value for key, value in model.items()}, settings)
    data.setup("fit")
    if resume is None:
        task.net.warm_start()
    trainer = build_trainer(config)
    if not trainer.checkpoint_callback:
        log.warning("nothing of this run will be saved: callbacks.checkpoints is null")
    write_config(config, folder, trainer)

    started = time.perf_counter()
    trainer.fit(task, datamodule=data, ckpt_path=resume, weights_only=True)
    last = folder / "checkpoints" / "last.ckpt"
    interrupted = any(isinstance(c, SaveAtInterrupt) and c.interrupted for c in trainer.callbacks)  # pyright: ignore[reportAttributeAccessIssue]
    if interrupted and task.global_step < config.steps:
        trainer.save_checkpoint(last)
        raise InterruptedRunError(
            f"saved step {task.global_step} of {config.steps}. Go on by the same command with "
            f"ckpt={last} hydra.run.dir={folder}"
        )
    minutes = (time.perf_counter() - started) / 60
    return conclude(config, task, trainer, data, minutes)


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
    # A rehearsal on a single number: torch checks a rate only once the optimizer is made, which is after the start.
    build(config.scheduler)(build(config.optimizer)([torch.nn.Parameter(torch.zeros(1))]), steps=config.steps)
    return Task(
        net=build(config.model),
        config=model,
        settings=settings,
        loss=build(config.loss),
        optimizer=build(config.optimizer),
        scheduler=build(config.scheduler),
        steps=config.steps,
        protocol=Protocol(**config.protocol),
        ema=config.ema,
        channels_last=config.channels_last,
        compile=config.compile,
    )


def build_trainer(config: DictConfig) -> pl.Trainer:
    """Lightning's trainer, in steps: one long epoch, validated every so many batches."""
    quiet()
    batches = config.steps * config.trainer.accumulate_grad_batches
    callbacks = [build(node) for node in config.callbacks.values() if node is not None]
    accelerator = config.trainer.accelerator
    if accelerator == "auto":
        # Lightning would also take accelerators without float64, which scores are computed in.
        accelerator = "gpu" if torch.cuda.is_available() else "cpu"
    precision = lightning_precision(str(config.precision), accelerator)  # pyright: ignore[reportArgumentType]
    if precision == "16-mixed" and config.trainer.gradient_clip_val and config.optimizer.get("fused"):
        raise ValueError("precision=16 clips no gradients for a fused optimizer; add optimizer.fused=false")
    return build(config.trainer)(
        accelerator=accelerator,
        precision=precision,
        callbacks=callbacks,
        logger=build(config.logger),
        val_check_interval=math.ceil(batches / config.validations),
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        enable_model_summary=False,
        use_distributed_sampler=False,
        enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in callbacks),
        enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
    )


def find_checkpoint(ckpt: str | None, model: dict[Any, Any], settings: dict[str, Any], steps: int) -> str | None:
    """The checkpoint to resume from.

    Raises ValueError where there is none, it holds another network, was trained under other settings, or is finished.
    Only the number of steps may be raised.
    """
    if ckpt is None:
        return None
    path = newest_checkpoint(Path("runs")) if ckpt == "last" else Path(ckpt)
    told = read(path)["upnet"]
    if told["model"] != model:
        differing = ", ".join(
            sorted(key for key in {*told["model"], *model} if told["model"].get(key) != model.get(key))
        )
        raise ValueError(
            f"{path} was trained with another network than this config describes; they differ in {differing}"
        )
    differing = sorted(key for key in settings if key != "steps" and told["settings"].get(key) != settings[key])
    if differing:
        raise ValueError(
            f"{path} was trained under other settings than these; they differ in {', '.join(differing)}. Resume by the "
            "command it was trained by"
        )
    if told["step"] >= steps:
        raise ValueError(f"{path} is finished: it has made {told['step']} steps of {steps}; raise steps= to go on")
    log.info("resuming from %s, step %d", path, told["step"])
    return str(path)


def newest_checkpoint(folder: Path) -> Path:
    """The last.ckpt written last below a folder. Raises ValueError where there is none."""
    found = sorted(folder.glob("**/checkpoints/last.ckpt"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise ValueError(f"ckpt=last looks for checkpoints/last.ckpt below {folder}/, and there is none; give its path")
    return found[-1]


def write_config(config: DictConfig, folder: Path, trainer: pl.Trainer) -> None:
    """The resolved config and the versions, in the run's folder and as text in TensorBoard."""
    if not trainer.is_global_zero:
        return
    folder.mkdir(parents=True, exist_ok=True)
    text = OmegaConf.to_yaml(config, resolve=True)
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    write_json(versions(), folder / "versions.json")
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_text("config", "\n".join(f"    {line}" for line in text.splitlines()))


def conclude(config: DictConfig, task: Task, trainer: pl.Trainer, data: DataModule, minutes: float) -> dict[str, Any]:
    """The last scores as results.json, a table, a picture, hparams in TensorBoard, and what to do next."""
    assert all(tally.network for tally in task.tallies["ema"].values()), "a run ends with a validation"
    task.eval()
    folder = Path(config.run_dir)
    count = parameters(task.net)
    extra = {
        "model": task.config,
        "scale": task.net.scale,
        "parameters": count,
        "step": task.global_step,
        "weights": "ema",
        "settings": task.settings,
        "seed": config.seed,
        "val_root": data.val_root,
        "minutes": round(minutes, 3),
        "raw": {name: tally.plain() for name, tally in task.tallies["raw"].items()},
        "versions": versions(),
    }
    content = results(task.tallies["ema"].values(), task.protocol.describe(task.net.scale), extra)
    if not trainer.is_global_zero:
        return content
    write_json(content, folder / "results.json")
    metrics = {
        f"final/{name}/{what}": float(told[what])
        for name, told in content["datasets"].items()
        for what in ("psnr", "ssim")
    }
    for logger in trainer.loggers:
        logger.log_hyperparams(hyperparameters(config, count), metrics)
        logger.save()
    with torch.no_grad():
        draw_comparison(task.ema.net, data.val_sets(), content, folder / "comparison.png")
    print_results(content)
    next_commands(folder, config)
    return content
