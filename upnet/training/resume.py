"""Find the checkpoint from which a training continues, and check that it may."""

import copy
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Timer

from upnet.checkpoint import SUFFIX, read
from upnet.evaluation.results import read_results
from upnet.training.callbacks import earlier_checkpoints
from upnet.training.task import Task
from upnet.utils.errors import UserError
from upnet.utils.run_dirs import LAST, resumable_checkpoint

COMPARISON = "comparison.png"
"""The file that a run writes last."""

COMPARISON_ERROR = "comparison.txt"
"""Why COMPARISON could not be drawn; it is written instead."""

log = logging.getLogger(__name__)


@dataclass
class ResumePoint:
    """A checkpoint to resume from.

    path:    of the file.
    content: of the file, which a resume reads once. Tensors are mapped from the file.
    """

    path: Path
    content: Mapping[str, Any]

    def __post_init__(self) -> None:
        self.metadata: Mapping[str, Any] = self.content["upnet"]
        self.step = int(self.metadata["step"])

    def take(self) -> dict[str, Any]:
        """The content in memory of its own; this object releases the file, which a mapping would keep open."""
        content = copy.deepcopy(dict(self.content))
        self.content = {}
        return content


def find_checkpoint(
    ckpt: str | None, folder: Path, model: Mapping[str, Any], settings: Mapping[str, Any], steps: int
) -> ResumePoint | None:
    """The checkpoint to resume from; if it is damaged, the newest intact one before it.

    ckpt:     its path, or `last` for the last one in the run's folder.
    folder:   of the run.
    model:    the config of the network.
    settings: those of `training_settings`.
    steps:    of the whole training, which may be more than before.

    None starts from the beginning: without ckpt, and for a run that ended with its first checkpoint but without
    results.

    Raises UserError if there is no such file, and if it holds another network, was trained with other settings, or is
    finished.
    """
    if ckpt is None:
        return None
    path = _checkpoint_path(ckpt, folder)
    if path.suffix == SUFFIX:
        raise UserError(
            "holds a network without the state of its training",
            setting="ckpt",
            value=path,
            cure="Resume from a checkpoint of its run",
        )
    point = _newest_intact(path)
    _check_same_training(point, model, settings)
    if point.step < steps:
        log.info("Resuming from %s, step %d", point.path, point.step)
        return point
    if point.step > steps or _is_finished(point.path, steps):
        raise UserError(
            f"this run is finished: it has made {point.step} steps of {steps}",
            setting="ckpt",
            value=point.path,
            cure="Raise steps= to continue it",
        )
    return _before_the_end(point.path, steps)


def _check_same_training(point: ResumePoint, model: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Raise UserError if a checkpoint is of another network or of other settings. Only `steps` may differ."""
    metadata, path = point.metadata, point.path
    if metadata["model"] != model:
        names = _differing(metadata["model"], model)
        problem = f"holds another network than this config describes; they differ in {', '.join(names)}"
        raise UserError(problem, setting="ckpt", value=path, cure="Resume with the command that started it")
    if not metadata["settings"]:
        raise UserError(
            "does not record the settings it was trained with, as in the first versions of upnet",
            setting="ckpt",
            value=path,
            cure="It can be evaluated, but not resumed",
        )
    recorded = {key: metadata["settings"].get(key) for key in settings}
    names = [name for name in _differing(recorded, settings) if name != "steps"]
    if names:
        problem = f"was trained with other settings; they differ in {', '.join(names)}"
        raise UserError(problem, setting="ckpt", value=path, cure="Resume with the command that started it")


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    return sorted(key for key in {*one, *other} if one.get(key) != other.get(key))


def check_resume(point: ResumePoint, task: Task, trainer: pl.Trainer) -> None:
    """Log how the learning rate continues if the number of steps changes.

    Raises UserError if the earlier starts of the run have used up trainer.max_time: nothing would be trained.
    """
    for timer in trainer.callbacks:  # pyright: ignore[reportAttributeAccessIssue]
        if isinstance(timer, Timer):
            timer.load_state_dict(point.content["callbacks"].get(timer.state_key, {}))
            remaining = timer.time_remaining()
            if remaining is not None and remaining <= 0:
                raise UserError(
                    f"training up to step {point.step} of {point.path} took {timer.time_elapsed():.0f} s, all of it",
                    setting="trainer.max_time",
                    cure="Raise it to continue",
                )
    steps = point.metadata["settings"]["steps"]
    if steps != task.steps:
        before, after = _learning_rates(point.content, task)
        log.info(
            "steps was %d and is %d: the learning rate follows the schedule of %d steps, and changes from %.3g to %.3g",
            *(steps, task.steps, task.steps, before, after),
        )


def _learning_rates(checkpoint: Mapping[str, Any], task: Task) -> tuple[float, float]:
    """The learning rate in a checkpoint, and that of this task's schedule one step later."""
    configured = task.configure_optimizers()
    optimizer, scheduler = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    for group, saved in zip(optimizer.param_groups, checkpoint["optimizer_states"][0]["param_groups"], strict=True):
        group["lr"] = saved["lr"]
    before = float(optimizer.param_groups[0]["lr"])
    scheduler.load_state_dict(copy.deepcopy(checkpoint["lr_schedulers"][0]))
    task.lr_scheduler_step(scheduler, None)
    return before, float(optimizer.param_groups[0]["lr"])


def _checkpoint_path(ckpt: str, folder: Path) -> Path:
    if ckpt != "last":
        return resumable_checkpoint(Path(ckpt)) or Path(ckpt)
    path = folder / "checkpoints" / LAST
    if not path.is_file():
        raise UserError(
            f"there is no checkpoints/{LAST} in the newest run below runs/, or in hydra.run.dir",
            setting="ckpt",
            value=ckpt,
            cure="Give its path, or leave ckpt out to start a new run",
        )
    return path


def _newest_intact(path: Path) -> ResumePoint:
    """A checkpoint, or the newest intact one before it. Raises UserError if there is none."""
    try:
        return ResumePoint(path, read(path))
    except ValueError as error:
        for earlier in _earlier(path):
            log.warning("%s. Resuming from the checkpoint before it, %s, step %d", error, earlier.path, earlier.step)
            return earlier
        raise


def _before_the_end(last: Path, steps: int) -> ResumePoint | None:
    """Where to resume a run that stopped between its last checkpoint and its results."""
    for earlier in _earlier(last):
        if earlier.step < steps:
            log.warning(
                "The run of %s ended before its results were written; its last steps are repeated from %s, step %d",
                *(last, earlier.path, earlier.step),
            )
            return earlier
    log.warning(
        "The run of %s ended before its results were written, and starts again: it has no earlier checkpoint", last
    )
    return None


def _earlier(path: Path) -> Iterator[ResumePoint]:
    """The intact checkpoints before one, newest first."""
    for earlier in earlier_checkpoints(path):
        try:
            yield ResumePoint(earlier, read(earlier))
        except ValueError as error:
            log.warning("%s", error)


def _is_finished(path: Path, steps: int) -> bool:
    """Whether the run of a checkpoint has written all its results; also true for a file outside a run's folder."""
    folder = path.parent.parent
    if path.parent.name != "checkpoints" or path.name != LAST:
        return True
    try:
        return read_results(folder / "results.json").get("step") == steps and any(
            (folder / name).exists() for name in (COMPARISON, COMPARISON_ERROR)
        )
    except ValueError:
        return False
