"""The arguments of Lightning's Trainer that a run supports, and those it rejects, with the reason and the alternative.

SUPPORTED and REJECTED together contain every argument of `pytorch_lightning.Trainer`. An argument in neither of them,
from a newer Lightning, is rejected.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import Timer
from pytorch_lightning.profilers import AdvancedProfiler, Profiler, PyTorchProfiler, SimpleProfiler

from upnet.utils.errors import UserError, join_or

SUPPORTED = {
    "accelerator",
    "devices",
    "strategy",
    "num_nodes",
    "sync_batchnorm",
    "plugins",
    "max_steps",
    "max_time",
    "accumulate_grad_batches",
    "gradient_clip_val",
    "gradient_clip_algorithm",
    "deterministic",
    "benchmark",
    "inference_mode",
    "log_every_n_steps",
    "profiler",
    "detect_anomaly",
}
MONITORED = ("val/psnr", "PSNR")
"""Names of the metrics that a validation logs for callbacks."""
PROFILERS: Mapping[str, Callable[..., Profiler]] = {
    "simple": SimpleProfiler,
    "advanced": AdvancedProfiler,
    # A validation copies the network. This fails for a network with the profiler's hooks on its modules.
    "pytorch": partial(PyTorchProfiler, record_module_names=False),
}


@dataclass(frozen=True)
class Rejection:
    """Why an argument is rejected, what to set instead, and values that are accepted since they have no effect."""

    reason: str
    cure: str
    harmless: tuple[object, ...] = (None,)


_ONE_EPOCH = "a training run is one epoch of `steps` steps"
_EVERY_IMAGE = "metrics are means over all validation images"
_NO_SUCH_LOOP = "upnet neither tests nor predicts through Lightning"

REJECTED: Mapping[str, Rejection] = {
    "precision": Rejection("the precision is a setting at the root", "Set precision=auto, 32, bf16 or 16"),
    "logger": Rejection("the loggers are a setting at the root", "Set logger=tensorboard, csv, several or none"),
    "callbacks": Rejection("the callbacks are a setting at the root", "Set +callbacks.NAME._target_=CLASS"),
    "fast_dev_run": Rejection("it disables checkpoints and loggers", "Set steps=1 validations=1", (False, 0)),
    "max_epochs": Rejection(_ONE_EPOCH, "Set steps=", (None, -1)),
    "min_epochs": Rejection(_ONE_EPOCH, "Set steps="),
    "min_steps": Rejection("a signal ends a run after any step", "Set the patience of early stopping"),
    "limit_train_batches": Rejection(_ONE_EPOCH, "Set steps=", (None, 1.0)),
    "limit_val_batches": Rejection(_EVERY_IMAGE, "Set data.val_root= to a folder of fewer images", (None, 1.0)),
    "limit_test_batches": Rejection(_NO_SUCH_LOOP, "Evaluate a checkpoint by upnet evaluate", (None, 1.0)),
    "limit_predict_batches": Rejection(_NO_SUCH_LOOP, "Upscale images by upnet evaluate", (None, 1.0)),
    "overfit_batches": Rejection(
        "a batch is a function of the seed and the step", "Set data.root= to a folder of one image", (0, 0.0)
    ),
    "val_check_interval": Rejection("upnet computes it from steps and validations", "Set validations="),
    "check_val_every_n_epoch": Rejection("a training run is one epoch", "Set validations="),
    "num_sanity_val_steps": Rejection(
        "validation images are checked before training starts", "Leave it out, or raise validations=", (None, 0)
    ),
    "enable_checkpointing": Rejection("a callback saves checkpoints", "Set callbacks.checkpoints=null to save none"),
    "enable_progress_bar": Rejection("a callback draws the bar", "Set callbacks.progress=null to draw none"),
    "enable_model_summary": Rejection(
        "a callback prints the summary",
        "Set +callbacks.summary._target_=pytorch_lightning.callbacks.RichModelSummary",
        (None, False),
    ),
    "use_distributed_sampler": Rejection("the data module distributes the images itself", "Leave it out", (False,)),
    "reload_dataloaders_every_n_epochs": Rejection("a training run is one epoch", "Leave it out", (0,)),
    "barebones": Rejection("it disables checkpoints, loggers and metrics", "Leave it out", (False,)),
    "default_root_dir": Rejection("all files are in the folder of the run", "Set hydra.run.dir="),
    "enable_autolog_hparams": Rejection(
        "upnet logs the hyperparameters with the results", "Set logger=none to log nothing", (True,)
    ),
    "model_registry": Rejection("upnet uploads no checkpoints", "Leave it out"),
}


def check_arguments(arguments: Mapping[str, Any], steps: int) -> None:
    """Raise UserError for the first argument of the Trainer's config that a run does not support.

    arguments: the arguments in the config, with components built.
    steps:     optimizer steps of the complete run.

    >>> check_arguments({"max_steps": 50}, steps=100)
    Traceback (most recent call last):
    upnet.utils.errors.UserError: trainer.max_steps=50: differs from steps=100. Set steps= alone
    """
    for name, value in arguments.items():
        rejection = REJECTED.get(name)
        if rejection is not None and not any(_same(value, harmless) for harmless in rejection.harmless):
            raise rejected_argument(name, value, f"not supported: {rejection.reason}", rejection.cure)
        if rejection is None and name not in SUPPORTED and name in inspect.signature(pl.Trainer).parameters:
            raise rejected_argument(name, value, "not supported by this version of upnet", "Leave it out")
    if arguments.get("max_steps", steps) != steps:
        raise rejected_argument("max_steps", arguments["max_steps"], f"differs from steps={steps}", "Set steps= alone")
    for name, minimum in (("accumulate_grad_batches", 1), ("log_every_n_steps", 1), ("gradient_clip_val", 0)):
        value = arguments.get(name)
        if value is not None and value < minimum:
            raise rejected_argument(name, value, f"must be at least {minimum}")
    algorithm = arguments.get("gradient_clip_algorithm")
    if algorithm is not None and str(algorithm).lower() not in ("norm", "value"):
        raise rejected_argument("gradient_clip_algorithm", algorithm, "must be norm or value")
    _check_components(arguments)


def _check_components(arguments: Mapping[str, Any]) -> None:
    """Raise UserError for an accelerator, a plugin, a profiler or a time limit that does not work in a run."""
    accelerator = arguments.get("accelerator", "auto")
    if accelerator not in ("auto", "cpu", "gpu", "cuda", "mps"):
        reason = "upnet runs on a CPU, an NVIDIA GPU and Apple's MPS"
        raise rejected_argument("accelerator", accelerator, reason, "Set trainer=cpu or trainer=auto")
    plugins = arguments.get("plugins") or []
    for plugin in plugins if isinstance(plugins, list) else [plugins]:
        if not isinstance(plugin, ClusterEnvironment):
            reason = "upnet sets checkpoint files, precision and synchronisation itself"
            cure = "Give a ClusterEnvironment, or leave it out"
            raise rejected_argument("plugins", type(plugin).__name__, reason, cure)
    profiler = arguments.get("profiler")
    if isinstance(profiler, str) and profiler not in PROFILERS:
        raise rejected_argument("profiler", profiler, f"must be {join_or(PROFILERS)}, or a component")
    if isinstance(profiler, PyTorchProfiler) and profiler._record_module_names:
        reason = "a validation copies the network, which fails with the hooks of this profiler"
        cure = "Set +trainer.profiler.record_module_names=false"
        raise rejected_argument("profiler", "PyTorchProfiler", reason, cure)
    try:
        Timer(arguments.get("max_time"))
    except (MisconfigurationException, TypeError) as error:
        reason = "must be DD:HH:MM:SS, or a mapping of units"
        raise rejected_argument("max_time", arguments["max_time"], reason) from error


def configure_profiler(profiler: Profiler | str | None, folder: str) -> Profiler | None:
    """The profiler, built if it is given by its name. It writes to `folder` unless it already has a folder."""
    if isinstance(profiler, str):
        profiler = PROFILERS[profiler]()
    if profiler is not None:
        profiler.dirpath = profiler.dirpath or folder
        profiler.filename = profiler.filename or "profile"
    return profiler


def check_monitors(callbacks: Sequence[pl.Callback]) -> None:
    """Raise UserError for a callback that monitors an unknown metric, or for which a lower PSNR is better.

    With a callback from outside upnet and Lightning every name is allowed, since that callback may log other metrics.
    """
    logs_are_known = all(
        type(callback).__module__.startswith(("upnet.", "pytorch_lightning.")) for callback in callbacks
    )
    for callback in callbacks:
        monitor, mode = getattr(callback, "monitor", None), getattr(callback, "mode", "max")
        if (logs_are_known and monitor not in (None, *MONITORED)) or (monitor in MONITORED and mode != "max"):
            raise UserError(
                f"{type(callback).__name__} monitors {monitor} with mode={mode}; a validation logs val/psnr, and "
                "higher is better",
                setting="callbacks",
                cure="Set monitor=val/psnr and mode=max",
            )


def _same(value: object, other: object) -> bool:
    """Whether two values have the same type and are equal: Lightning reads 1 as one batch and 1.0 as all batches."""
    return type(value) is type(other) and value == other


def rejected_argument(name: str, value: object, reason: str, cure: str = "") -> UserError:
    """The error for an argument of the Trainer that a run does not support."""
    return UserError(reason, setting=f"trainer.{name}", value=value, cure=cure)
