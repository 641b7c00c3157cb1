"""Find the checkpoint from which a run resumes, and check that it belongs to the same run."""

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
"""The comparison image, which is the last file that a run writes."""

COMPARISON_ERROR = "comparison.txt"
"""The file with the reason if COMPARISON cannot be drawn."""

log = logging.getLogger(__name__)


@dataclass
class ResumePoint:
    """A checkpoint to resume from.

    path:    path of the file.
    content: content of the file. Its tensors are memory-mapped.
    """

    path: Path
    content: Mapping[str, Any]

    def __post_init__(self) -> None:
        self.metadata: Mapping[str, Any] = self.content["upnet"]
        self.step = int(self.metadata["step"])

    def take(self) -> dict[str, Any]:
        """A copy of the content in memory. This object then releases the memory-mapped file."""
        content = copy.deepcopy(dict(self.content))
        self.content = {}
        return content


def find_checkpoint(
    ckpt: str | None, folder: Path, model: Mapping[str, Any], settings: Mapping[str, Any], steps: int
) -> ResumePoint | None:
    """The checkpoint to resume from, or None to start from the beginning.

    ckpt:     path of the checkpoint, or `last` for the last checkpoint in `folder`; None starts from the beginning.
    folder:   folder of the run.
    model:    config of the network.
    settings: settings of the training, see training_settings().
    steps:    optimizer steps of the complete run, which may be more than before.

    If the checkpoint is damaged, the newest intact checkpoint before it is returned. The last steps of a run that was
    killed before it wrote its results are repeated from an earlier checkpoint, or from the beginning.

    Raises UserError if the file does not exist, contains another network, was trained with other settings, or belongs
    to a finished run.
    """
    if ckpt is None:
        return None
    path = _checkpoint_path(ckpt, folder)
    if path.suffix == SUFFIX:
        raise UserError(
            "contains a network without its training state",
            setting="ckpt",
            value=path,
            cure="Resume from a checkpoint in the folder of its run",
        )
    point = _newest_intact(path)
    _check_same_training(point, model, settings)
    if point.step < steps:
        log.info("Resuming from %s, step %d", point.path, point.step)
        return point
    if point.step > steps or _is_finished(point.path, steps):
        raise UserError(
            f"this run is finished: {point.step} of {steps} steps are done",
            setting="ckpt",
            value=point.path,
            cure="Raise steps= to continue it",
        )
    return _checkpoint_before_end(point.path, steps)


def _check_same_training(point: ResumePoint, model: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Raise UserError if a checkpoint contains another network or other settings. Only `steps` may differ."""
    metadata, path = point.metadata, point.path
    if metadata["model"] != model:
        names = _differing(metadata["model"], model)
        problem = f"contains another network than this config describes; they differ in {', '.join(names)}"
        raise UserError(problem, setting="ckpt", value=path, cure="Resume with the command that started it")
    if not metadata["settings"]:
        raise UserError(
            "is from an early version of upnet and does not contain its training settings",
            setting="ckpt",
            value=path,
            cure="It can be evaluated, but not resumed",
        )
    recorded = {key: metadata["settings"].get(key) for key in settings}
    names = [name for name in _differing(recorded, settings) if name != "steps"]
    if names:
        problem = f"was trained with other settings; they differ in {', '.join(names)}"
        raise UserError(problem, setting="ckpt", value=path, cure="Resume with the command that started it")


def _differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    return sorted(key for key in {*first, *second} if first.get(key) != second.get(key))


def check_resume(point: ResumePoint, task: Task, trainer: pl.Trainer) -> None:
    """Check that trainer.max_time is not used up, and log the new learning rate if the number of steps has changed.

    Raises UserError if earlier parts of the run have used up trainer.max_time.
    """
    for timer in trainer.callbacks:  # pyright: ignore[reportAttributeAccessIssue]
        if isinstance(timer, Timer):
            timer.load_state_dict(point.content["callbacks"].get(timer.state_key, {}))
            remaining = timer.time_remaining()
            if remaining is not None and remaining <= 0:
                raise UserError(
                    f"used up: training up to step {point.step} of {point.path} took {timer.time_elapsed():.0f} s",
                    setting="trainer.max_time",
                    cure="Raise it to continue",
                )
    steps = point.metadata["settings"]["steps"]
    if steps != task.steps:
        before, after = _learning_rates(point.content, task)
        log.info(
            "steps was %d and is %d: the learning rate follows the schedule of %d steps, and changes from %.3g to %.3g",
            steps,
            task.steps,
            task.steps,
            before,
            after,
        )


def _learning_rates(checkpoint: Mapping[str, Any], task: Task) -> tuple[float, float]:
    """The learning rate in a checkpoint, and the learning rate of the task's schedule one step later."""
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
            f"there is no checkpoints/{LAST} in the newest run in runs/, or in hydra.run.dir",
            setting="ckpt",
            value=ckpt,
            cure="Give its path, or leave ckpt out to start a new run",
        )
    return path


def _newest_intact(path: Path) -> ResumePoint:
    """The checkpoint at a path, or the newest intact one before it. Raises UserError if there is none."""
    try:
        return ResumePoint(path, read(path))
    except UserError as error:
        for earlier in _earlier(path):
            log.warning("%s. Resuming from the checkpoint before it, %s, step %d", error, earlier.path, earlier.step)
            return earlier
        raise


def _checkpoint_before_end(last: Path, steps: int) -> ResumePoint | None:
    """The checkpoint to resume from if a run ended after its last checkpoint but before its results."""
    for earlier in _earlier(last):
        if earlier.step < steps:
            log.warning(
                "The run that wrote %s ended without results; its last steps are repeated from %s, step %d",
                last,
                earlier.path,
                earlier.step,
            )
            return earlier
    log.warning("The run that wrote %s ended without results, and starts again: it has no earlier checkpoint", last)
    return None


def _earlier(path: Path) -> Iterator[ResumePoint]:
    """The intact checkpoints before one, newest first."""
    for earlier in earlier_checkpoints(path):
        try:
            yield ResumePoint(earlier, read(earlier))
        except UserError as error:
            log.warning("%s", error)


def _is_finished(path: Path, steps: int) -> bool:
    """Whether the run of a checkpoint has written all its results; True for a file outside of a run folder."""
    folder = path.parent.parent
    if path.parent.name != "checkpoints" or path.name != LAST:
        return True
    try:
        return read_results(folder / "results.json").get("step") == steps and any(
            (folder / name).exists() for name in (COMPARISON, COMPARISON_ERROR)
        )
    except UserError:
        return False
