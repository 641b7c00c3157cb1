"""Which arguments of Lightning's Trainer a run supports; which it rejects, why, and what to set instead.

Both lists together name every argument of `pytorch_lightning.Trainer`. An argument that neither names, as a newer
Lightning may have, is rejected.
"""

import inspect
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import Timer
from pytorch_lightning.profilers import AdvancedProfiler, Profiler, PyTorchProfiler, SimpleProfiler
from pytorch_lightning.strategies import DDPStrategy, SingleDeviceStrategy

from upnet.utils.errors import UserError, join_or

SUPPORTED = frozenset(
    (
        *("accelerator", "devices", "strategy", "num_nodes", "sync_batchnorm", "plugins"),
        *("max_steps", "max_time", "accumulate_grad_batches", "gradient_clip_val", "gradient_clip_algorithm"),
        *("deterministic", "benchmark", "inference_mode"),
        *("log_every_n_steps", "profiler", "detect_anomaly"),
    )
)
MONITORED = ("val/psnr", "PSNR")
"""The metrics that a validation logs for callbacks."""
PROFILERS: Mapping[str, Callable[..., Profiler]] = {
    "simple": SimpleProfiler,
    "advanced": AdvancedProfiler,
    # A network with its hooks on every module cannot be copied, which a validation does.
    "pytorch": partial(PyTorchProfiler, record_module_names=False),
}


@dataclass(frozen=True)
class Rejection:
    """Why an argument is rejected, what to set instead, and its values that change nothing, which are allowed."""

    reason: str
    cure: str
    harmless: tuple[object, ...] = (None,)


_ONE_EPOCH = "a training is one epoch of `steps` steps"
_EVERY_IMAGE = "metrics are means over every validation image"
_NO_SUCH_LOOP = "a training neither tests nor predicts through Lightning"

REJECTED: Mapping[str, Rejection] = {
    "precision": Rejection("the precision is a setting at the root", "Set precision=auto, 32, bf16 or 16"),
    "logger": Rejection("the loggers are a setting at the root", "Set logger=tensorboard, csv, several or none"),
    "callbacks": Rejection("the callbacks are a setting at the root", "Set +callbacks.NAME._target_=CLASS"),
    "fast_dev_run": Rejection("it leaves out checkpoints and loggers", "Set steps=1 validations=1", (False, 0)),
    "max_epochs": Rejection(_ONE_EPOCH, "Set steps=", (None, -1)),
    "min_epochs": Rejection(_ONE_EPOCH, "Set steps="),
    "min_steps": Rejection("a signal ends a run after any step", "Set the patience of early stopping"),
    "limit_train_batches": Rejection(_ONE_EPOCH, "Set steps=", (None, 1.0)),
    "limit_val_batches": Rejection(_EVERY_IMAGE, "Name a folder of fewer images by data.val_root=", (None, 1.0)),
    "limit_test_batches": Rejection(_NO_SUCH_LOOP, "Evaluate a checkpoint by evaluate.py", (None, 1.0)),
    "limit_predict_batches": Rejection(_NO_SUCH_LOOP, "Upscale images by evaluate.py", (None, 1.0)),
    "overfit_batches": Rejection(
        "a batch is a function of the seed and the step", "Name a folder of one image by data.root=", (0, 0.0)
    ),
    "val_check_interval": Rejection("upnet computes it from steps and validations", "Set validations="),
    "check_val_every_n_epoch": Rejection("a training is one epoch", "Set validations="),
    "num_sanity_val_steps": Rejection(
        "validation images are checked before a training starts", "Leave it out, or raise validations=", (None, 0)
    ),
    "enable_checkpointing": Rejection("a callback saves checkpoints", "Set callbacks.checkpoints=null to save none"),
    "enable_progress_bar": Rejection("a callback draws the bar", "Set callbacks.progress=null to draw none"),
    "enable_model_summary": Rejection(
        "a callback prints the summary",
        "Set +callbacks.summary._target_=pytorch_lightning.callbacks.RichModelSummary",
        (None, False),
    ),
    "use_distributed_sampler": Rejection("the data module divides the images itself", "Leave it out", (False,)),
    "reload_dataloaders_every_n_epochs": Rejection("a training is one epoch", "Leave it out", (0,)),
    "barebones": Rejection("it leaves out checkpoints, loggers and scores", "Leave it out", (False,)),
    "default_root_dir": Rejection("everything goes to the folder of the run", "Set hydra.run.dir="),
    "enable_autolog_hparams": Rejection(
        "upnet logs the hyperparameters with the results", "Set logger=none to log nothing", (True,)
    ),
    "model_registry": Rejection("upnet uploads no checkpoints", "Leave it out"),
}


def check_arguments(arguments: Mapping[str, Any], steps: int) -> None:
    """Raise UserError for the first argument of the Trainer's config that a run does not support.

    arguments: those of the config, with the components in them built.
    steps:     of the whole training.
    """
    for name, value in arguments.items():
        rejection = REJECTED.get(name)
        if rejection is not None and not any(_same(value, harmless) for harmless in rejection.harmless):
            raise _rejected(name, value, f"not supported: {rejection.reason}", rejection.cure)
        if rejection is None and name not in SUPPORTED and name in inspect.signature(pl.Trainer).parameters:
            raise _rejected(name, value, "this version of upnet does not know the argument", "Leave it out")
    if arguments.get("max_steps", steps) != steps:
        raise _rejected(
            "max_steps", arguments["max_steps"], f"the schedule is made for steps={steps}", "Set steps= alone"
        )
    for name, least in (("accumulate_grad_batches", 1), ("log_every_n_steps", 1), ("gradient_clip_val", 0)):
        value = arguments.get(name)
        if value is not None and value < least:
            raise _rejected(name, value, f"must be at least {least}")
    algorithm = arguments.get("gradient_clip_algorithm")
    if algorithm is not None and str(algorithm).lower() not in ("norm", "value"):
        raise _rejected("gradient_clip_algorithm", algorithm, "must be norm or value")
    _check_components(arguments)


def _check_components(arguments: Mapping[str, Any]) -> None:
    """Raise UserError for an accelerator, a plugin, a profiler or a time limit that does not work in a run."""
    accelerator = arguments.get("accelerator", "auto")
    if accelerator not in ("auto", "cpu", "gpu", "cuda", "mps"):
        reason = "upnet runs on a CPU, an NVIDIA GPU and Apple's MPS"
        raise _rejected("accelerator", accelerator, reason, "Set trainer=cpu or trainer=gpu")
    plugins = arguments.get("plugins") or []
    for plugin in plugins if isinstance(plugins, list) else [plugins]:
        if not isinstance(plugin, ClusterEnvironment):
            reason = "upnet has its own checkpoint files, precision and synchronisation"
            raise _rejected("plugins", type(plugin).__name__, reason, "Give a ClusterEnvironment, or leave it out")
    profiler = arguments.get("profiler")
    if isinstance(profiler, str) and profiler not in PROFILERS:
        raise _rejected("profiler", profiler, f"must be {join_or(PROFILERS)}, or a component")
    if isinstance(profiler, PyTorchProfiler) and profiler._record_module_names:
        reason = "a network with its hooks cannot be copied, which a validation does"
        raise _rejected("profiler", "PyTorchProfiler", reason, "Set +trainer.profiler.record_module_names=false")
    try:
        Timer(arguments.get("max_time"))
    except (MisconfigurationException, TypeError) as error:
        raise _rejected("max_time", arguments["max_time"], "must be DD:HH:MM:SS, or a mapping of units") from error


def configure_profiler(profiler: Profiler | str | None, folder: str) -> Profiler | None:
    """A profiler, or the one of a name, that writes its files to a folder unless it is given another one."""
    if isinstance(profiler, str):
        profiler = PROFILERS[profiler]()
    if profiler is not None:
        profiler.dirpath = profiler.dirpath or folder
        profiler.filename = profiler.filename or "profile"
    return profiler


def check_monitors(callbacks: Sequence[pl.Callback]) -> None:
    """Raise UserError for a callback of Lightning that monitors an unknown metric, or takes a lower PSNR as better.

    A user's callback may log further metrics: beside one, every name is allowed.
    """
    only_known = all(type(callback).__module__.startswith(("upnet.", "pytorch_lightning.")) for callback in callbacks)
    for callback in callbacks:
        monitor, mode = getattr(callback, "monitor", None), getattr(callback, "mode", "max")
        if (only_known and monitor not in (None, *MONITORED)) or (monitor in MONITORED and mode != "max"):
            raise UserError(
                f"{type(callback).__name__} monitors {monitor} with mode={mode}, and a validation logs val/psnr, of "
                "which higher is better",
                setting="callbacks",
                cure="Set monitor=val/psnr and mode=max",
            )


def check_processes(trainer: Any) -> None:
    """Raise UserError for a Trainer whose strategy upnet does not support, or whose processes do not all exist."""
    if not isinstance(trainer, pl.Trainer):
        reason = f"must build a pytorch_lightning.Trainer, not a {type(trainer).__name__}"
        raise UserError(reason, setting="trainer._target_")
    strategy = trainer.strategy
    forks = getattr(strategy, "_start_method", "popen") != "popen"
    if forks or type(strategy) not in (SingleDeviceStrategy, DDPStrategy):
        reason = "every process of a training holds all weights and is started by the command line"
        raise _rejected("strategy", type(strategy).__name__, reason, "Set trainer=ddp for several devices")
    environment = getattr(strategy, "cluster_environment", None)
    if trainer.num_nodes > 1 and type(environment) is LightningEnvironment and "MASTER_ADDR" not in os.environ:
        raise _rejected(
            "num_nodes",
            trainer.num_nodes,
            "it would wait for other machines, and no launcher started this process",
            "Start every process by srun or torchrun, or set MASTER_ADDR, MASTER_PORT and NODE_RANK",
        )
    if type(environment) in (SLURMEnvironment, type(None)) and trainer.world_size != (tasks := _slurm_tasks()) > 1:
        raise _slurm_error(tasks)


def check_slurm() -> None:
    """Raise UserError if SLURM announces several processes, and srun did not start this one."""
    tasks = _slurm_tasks()
    if tasks > 1 and not {"SLURM_STEP_ID", "SLURM_NTASKS_PER_NODE"} <= os.environ.keys():
        raise _slurm_error(tasks)


def _slurm_tasks() -> int:
    """The number of processes that SLURM announces; 1 outside of SLURM and, as in Lightning, in an interactive job."""
    text = os.environ.get("SLURM_NTASKS", "")
    return int(text) if text.isdigit() and SLURMEnvironment.job_name() not in ("bash", "interactive") else 1


def _slurm_error(tasks: int) -> UserError:
    return UserError(
        f"SLURM announces {tasks} processes, and this training is not started as {tasks}",
        setting="SLURM_NTASKS",
        value=tasks,
        cure=(
            "Set SLURM_NTASKS=1 in front of the command to train in one process, or start it by srun with "
            f"--ntasks-per-node={tasks} and trainer=ddp trainer.devices={tasks}"
        ),
    )


@contextmanager
def translate_lightning_errors() -> Iterator[None]:
    """Raise UserError if Lightning rejects a combination of settings or callbacks."""
    try:
        yield
    except MisconfigurationException as error:
        raise UserError(f"Lightning rejects these settings: {' '.join(str(error).split())}") from error


def silence_lightning() -> None:
    """Suppress Lightning's advice about what upnet does on purpose."""
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


def _same(value: object, other: object) -> bool:
    """Whether two values are equal and of one type: to Lightning 1 is one batch, and 1.0 is all of them."""
    return type(value) is type(other) and value == other


def _rejected(name: str, value: object, reason: str, cure: str = "") -> UserError:
    return UserError(reason, setting=f"trainer.{name}", value=value, cure=cure)
