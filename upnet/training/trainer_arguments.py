"""Which arguments of Lightning's Trainer a run honours, and which it refuses, why, and what to set instead.

Both lists together name every argument of `pytorch_lightning.Trainer`. One that neither names, as a newer Lightning may
have, is refused.
"""

import inspect
import os
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

from upnet.config.errors import shown

HONOURED = frozenset(
    (
        *("accelerator", "devices", "strategy", "num_nodes", "sync_batchnorm", "plugins"),
        *("max_steps", "max_time", "accumulate_grad_batches", "gradient_clip_val", "gradient_clip_algorithm"),
        *("deterministic", "benchmark", "inference_mode"),
        *("log_every_n_steps", "profiler", "detect_anomaly"),
    )
)
MONITORED = ("val/psnr", "PSNR")
PROFILERS: Mapping[str, Callable[..., Profiler]] = {
    "simple": SimpleProfiler,
    "advanced": AdvancedProfiler,
    # Its hooks on every module would not let the network be copied, which a validation does.
    "pytorch": partial(PyTorchProfiler, record_module_names=False),
}


@dataclass(frozen=True)
class Refusal:
    """Why an argument is refused, what to set instead, and its values that change nothing, which are allowed."""

    why: str
    cure: str
    harmless: tuple[object, ...] = (None,)


_ONE_EPOCH = "a training is one epoch of `steps` steps"
_EVERY_IMAGE = "a score is the mean over every validation image"
_NO_SUCH_LOOP = "a training neither tests nor predicts through Lightning"

REFUSED: Mapping[str, Refusal] = {
    "precision": Refusal("the precision is a setting at the root", "set precision=auto, 32, bf16 or 16"),
    "logger": Refusal("the loggers are a setting at the root", "set logger=tensorboard, csv, several or none"),
    "callbacks": Refusal("the callbacks are a setting at the root", "set +callbacks.NAME._target_=CLASS"),
    "fast_dev_run": Refusal("it leaves out checkpoints and loggers", "set steps=1 validations=1", (False, 0)),
    "max_epochs": Refusal(_ONE_EPOCH, "set steps=", (None, -1)),
    "min_epochs": Refusal(_ONE_EPOCH, "set steps="),
    "min_steps": Refusal("a signal ends a run after any step", "set the patience of early stopping"),
    "limit_train_batches": Refusal(_ONE_EPOCH, "set steps=", (None, 1.0)),
    "limit_val_batches": Refusal(_EVERY_IMAGE, "name a folder of fewer images by data.val_root=", (None, 1.0)),
    "limit_test_batches": Refusal(_NO_SUCH_LOOP, "evaluate a checkpoint by evaluate.py", (None, 1.0)),
    "limit_predict_batches": Refusal(_NO_SUCH_LOOP, "upscale images by evaluate.py", (None, 1.0)),
    "overfit_batches": Refusal(
        "a batch is a function of the seed and the step", "name a folder of one image by data.root=", (0, 0.0)
    ),
    "val_check_interval": Refusal("upnet computes it from steps and validations", "set validations="),
    "check_val_every_n_epoch": Refusal("a training is one epoch", "set validations="),
    "num_sanity_val_steps": Refusal(
        "validation images are checked before a training starts", "leave it out, or raise validations=", (None, 0)
    ),
    "enable_checkpointing": Refusal("a callback saves checkpoints", "set callbacks.checkpoints=null to save none"),
    "enable_progress_bar": Refusal("a callback draws the bar", "set callbacks.progress=null to draw none"),
    "enable_model_summary": Refusal(
        "a callback prints the summary",
        "set +callbacks.summary._target_=pytorch_lightning.callbacks.RichModelSummary",
        (None, False),
    ),
    "use_distributed_sampler": Refusal("the data module divides the images itself", "leave it out", (False,)),
    "reload_dataloaders_every_n_epochs": Refusal("a training is one epoch", "leave it out", (0,)),
    "barebones": Refusal("it leaves out checkpoints, loggers and scores", "leave it out", (False,)),
    "default_root_dir": Refusal("everything goes to the folder of the run", "set hydra.run.dir="),
    "enable_autolog_hparams": Refusal(
        "upnet logs the hyperparameters with the results", "set logger=none to log nothing", (True,)
    ),
    "model_registry": Refusal("upnet uploads no checkpoints", "leave it out"),
}


def check_arguments(arguments: Mapping[str, Any], steps: int) -> None:
    """Raise ValueError for the first argument of a config that a run would not honour.

    arguments: those of the Trainer's node, with the components inside built.
    steps:     of the whole training.
    """
    for name, value in arguments.items():
        refusal = REFUSED.get(name)
        if refusal is not None and not any(_same(value, one) for one in refusal.harmless):
            raise ValueError(_refused(name, value, refusal.why, refusal.cure))
        if refusal is None and name not in HONOURED and name in inspect.signature(pl.Trainer).parameters:
            raise ValueError(_refused(name, value, "this version of upnet does not know it", "leave it out"))
    if arguments.get("max_steps", steps) != steps:
        why = f"the schedule is made for steps={steps}"
        raise ValueError(_refused("max_steps", arguments["max_steps"], why, "set steps= alone"))
    for name, least in (("accumulate_grad_batches", 1), ("log_every_n_steps", 1), ("gradient_clip_val", 0)):
        value = arguments.get(name)
        if value is not None and value < least:
            raise ValueError(f"trainer.{name}={value} is not allowed: at least {least} is expected")
    algorithm = arguments.get("gradient_clip_algorithm")
    if algorithm is not None and str(algorithm).lower() not in ("norm", "value"):
        raise ValueError(f"trainer.gradient_clip_algorithm={algorithm} is not allowed: norm or value is expected")
    _check_components(arguments)


def _check_components(arguments: Mapping[str, Any]) -> None:
    """Raise ValueError for an accelerator, a plugin, a profiler or a time limit that does not work in a run."""
    accelerator = arguments.get("accelerator", "auto")
    if accelerator not in ("auto", "cpu", "gpu", "cuda", "mps"):
        why = "upnet runs on a CPU, an NVIDIA GPU and Apple's MPS"
        raise ValueError(_refused("accelerator", accelerator, why, "take trainer=cpu or trainer=gpu"))
    plugins = arguments.get("plugins") or []
    for plugin in plugins if isinstance(plugins, list) else [plugins]:
        if not isinstance(plugin, ClusterEnvironment):
            why = "upnet has its own checkpoint files, precision and synchronisation"
            cure = "give a ClusterEnvironment, or leave it out"
            raise ValueError(_refused("plugins", type(plugin).__name__, why, cure))
    profiler = arguments.get("profiler")
    if isinstance(profiler, str) and profiler not in PROFILERS:
        raise ValueError(
            f"trainer.profiler={profiler} is not allowed: {', '.join(PROFILERS)} or a component is expected"
        )
    if isinstance(profiler, PyTorchProfiler) and profiler._record_module_names:
        why = "a network with its hooks can't be copied, which a validation does"
        cure = "set +trainer.profiler.record_module_names=false"
        raise ValueError(_refused("profiler", "PyTorchProfiler", why, cure))
    try:
        Timer(arguments.get("max_time"))
    except (MisconfigurationException, TypeError) as fault:
        limit = arguments["max_time"]
        raise ValueError(f"trainer.max_time={limit} is not allowed: DD:HH:MM:SS is expected") from fault


def profiler_in(folder: str, profiler: Profiler | str | None) -> Profiler | None:
    """A profiler, also one by its name, that writes files into a folder where it names no other ones."""
    if isinstance(profiler, str):
        profiler = PROFILERS[profiler]()
    if profiler is not None:
        profiler.dirpath = profiler.dirpath or folder
        profiler.filename = profiler.filename or "profile"
    return profiler


def check_monitors(callbacks: Sequence[pl.Callback]) -> None:
    """Raise ValueError for a callback of Lightning that monitors what nothing logs, or takes a lower PSNR as better.

    A callback of a user may log further values: beside one, every name is allowed.
    """
    known = all(type(callback).__module__.startswith(("upnet.", "pytorch_lightning.")) for callback in callbacks)
    for callback in callbacks:
        monitor, mode = getattr(callback, "monitor", None), getattr(callback, "mode", "max")
        if (known and monitor not in (None, *MONITORED)) or (monitor in MONITORED and mode != "max"):
            raise ValueError(
                f"{type(callback).__name__} in callbacks monitors {monitor} with mode={mode}, and a validation logs "
                "val/psnr, where higher is better; set monitor=val/psnr and mode=max"
            )


def check_processes(trainer: Any) -> None:
    """Raise ValueError for a Trainer whose strategy upnet does not support, or whose processes do not all exist."""
    if not isinstance(trainer, pl.Trainer):
        raise ValueError(f"trainer._target_ makes a {type(trainer).__name__}; pytorch_lightning.Trainer is expected")
    strategy = trainer.strategy
    copies = getattr(strategy, "_start_method", "popen") != "popen"
    if copies or type(strategy) not in (SingleDeviceStrategy, DDPStrategy):
        raise ValueError(
            f"trainer.strategy makes a {type(strategy).__name__}, which upnet does not support: every process holds "
            "all weights and is started by the command line; take trainer=ddp for several devices"
        )
    environment = getattr(strategy, "cluster_environment", None)
    if trainer.num_nodes > 1 and type(environment) is LightningEnvironment and "MASTER_ADDR" not in os.environ:
        raise ValueError(
            f"trainer.num_nodes={trainer.num_nodes} waits for other machines, and no launcher started this process; "
            "start every process by srun or torchrun, or set MASTER_ADDR, MASTER_PORT and NODE_RANK"
        )
    if type(environment) in (SLURMEnvironment, type(None)) and trainer.world_size != (tasks := _slurm_tasks()) > 1:
        raise ValueError(_slurm_refused(tasks))


def check_slurm() -> None:
    """Raise ValueError where SLURM announces several processes, and srun did not start this one."""
    tasks = _slurm_tasks()
    if tasks > 1 and not {"SLURM_STEP_ID", "SLURM_NTASKS_PER_NODE"} <= os.environ.keys():
        raise ValueError(_slurm_refused(tasks))


def _slurm_tasks() -> int:
    """How many processes SLURM announces; 1 outside of SLURM, and in an interactive job, as Lightning has it."""
    text = os.environ.get("SLURM_NTASKS", "")
    return int(text) if text.isdigit() and SLURMEnvironment.job_name() not in ("bash", "interactive") else 1


def _slurm_refused(tasks: int) -> str:
    return (
        f"SLURM_NTASKS={tasks} announces {tasks} processes, and this training is not started as {tasks}; set "
        "SLURM_NTASKS=1 in front of the command to train in one process, or start it by srun with "
        f"--ntasks-per-node={tasks} and trainer=ddp trainer.devices={tasks}"
    )


@contextmanager
def refusals_of_lightning() -> Iterator[None]:
    """Raise ValueError with one sentence where Lightning refuses a combination of settings or callbacks."""
    try:
        yield
    except MisconfigurationException as fault:
        raise ValueError(f"Lightning refuses these settings: {' '.join(str(fault).split())}") from fault


def _same(value: object, other: object) -> bool:
    """Whether two values are equal and of one type: to Lightning 1 is one batch, and 1.0 is all of them."""
    return type(value) is type(other) and value == other


def _refused(name: str, value: object, why: str, cure: str) -> str:
    text = value if isinstance(value, str) else shown(value)
    return f"trainer.{name}={text} is refused: {why}; {cure}"
