"""Where a training goes on."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Timer

from upnet.checkpoint import SUFFIX, read
from upnet.evaluation.results import read_results
from upnet.training.callbacks import earlier_paths
from upnet.training.task import Task
from upnet.utils.run_dirs import LAST, resumable_checkpoint

CONCLUDED = "comparison.png"
"""What a run writes last."""

NOT_DRAWN = "comparison.txt"
"""Why it wasn't written, where it can't be drawn."""

log = logging.getLogger(__name__)


def find_checkpoint(
    ckpt: str | None, folder: Path, model: dict[Any, Any], settings: dict[str, Any], steps: int
) -> Path | None:
    """The checkpoint to resume from; where it is damaged, the newest whole one before it.

    ckpt:   its path, or `last` for the last one in the run's folder.
    folder: of the run.

    None is for a run from the start: where no checkpoint is asked for, and where a run ended with its first one, but
    without its results. Raises ValueError where there is none, it holds another network, was trained under other
    settings, or is finished. Only the number of steps may be raised.
    """
    if ckpt is None:
        return None
    path = _named(ckpt, folder)
    if path.suffix == SUFFIX:
        raise ValueError(
            f"{path} holds a network, and not the state of its training; resume from a checkpoint of its run"
        )
    path, told = _newest_whole(path)
    if told["model"] != model:
        differing = ", ".join(
            sorted(key for key in {*told["model"], *model} if told["model"].get(key) != model.get(key))
        )
        raise ValueError(
            f"{path} was trained with another network than this config describes; they differ in {differing}"
        )
    if not told["settings"]:
        raise ValueError(
            f"{path} doesn't say under which settings it was trained, as the first versions of upnet didn't; it can be "
            "evaluated, and not trained on"
        )
    differing = sorted(key for key in settings if key != "steps" and told["settings"].get(key) != settings[key])
    if differing:
        raise ValueError(
            f"{path} was trained under other settings than these; they differ in {', '.join(differing)}. Resume by the "
            "command it was trained by"
        )
    if told["step"] >= steps:
        if told["step"] > steps or _concluded(path, steps):
            raise ValueError(f"{path} is finished: it has made {told['step']} steps of {steps}; raise steps= to go on")
        return _before_the_end(path, steps)
    log.info("resuming from %s, step %d", path, told["step"])
    return path


def first_step(path: Path, task: Task, trainer: pl.Trainer) -> int:
    """The step that a checkpoint continues from; log how the learning rate continues if the number of steps changes.

    Raises ValueError if the earlier starts of the run have used up trainer.max_time: nothing would be trained.
    """
    state = read(path)
    step, steps = state["upnet"]["step"], state["upnet"]["settings"]["steps"]
    for timer in trainer.callbacks:  # pyright: ignore[reportAttributeAccessIssue]
        if isinstance(timer, Timer):
            timer.load_state_dict(state["callbacks"].get(timer.state_key, {}))
            left = timer.time_remaining()
            if left is not None and left <= 0:
                raise ValueError(
                    f"trainer.max_time: training up to step {step} of {path} took {timer.time_elapsed():.0f} s, which "
                    "is all of it; raise it to go on"
                )
    if steps != task.steps:
        log.info(
            "steps was %d and is %d: the learning rate continues on the schedule of %d steps, and goes from %.3g to "
            "%.3g",
            *(steps, task.steps, task.steps),
            *_learning_rates(state, task),
        )
    return step


def _learning_rates(state: dict[str, Any], task: Task) -> tuple[float, float]:
    """The learning rate in a checkpoint, and the one that the schedule of this task has one step later."""
    made = task.configure_optimizers()
    optimizer, scheduler = made["optimizer"], made["lr_scheduler"]["scheduler"]
    for group, saved in zip(optimizer.param_groups, state["optimizer_states"][0]["param_groups"], strict=True):
        group["lr"] = saved["lr"]
    before = float(optimizer.param_groups[0]["lr"])
    scheduler.load_state_dict(state["lr_schedulers"][0])
    task.lr_scheduler_step(scheduler, None)
    return before, float(optimizer.param_groups[0]["lr"])


def _named(ckpt: str, folder: Path) -> Path:
    if ckpt != "last":
        return resumable_checkpoint(Path(ckpt)) or Path(ckpt)
    path = folder / "checkpoints" / LAST
    if not path.is_file():
        raise ValueError(
            f"ckpt=last looks for checkpoints/{LAST} in the newest run below runs/, or in hydra.run.dir, and there is "
            "none; give its path, or leave ckpt out to begin"
        )
    return path


def _newest_whole(path: Path) -> tuple[Path, dict[str, Any]]:
    """A checkpoint, or the newest whole one before it, and what it says of itself."""
    try:
        return path, read(path)["upnet"]
    except ValueError as damage:
        for earlier, told in _earlier(path):
            log.warning("%s. Going on from the one before it, %s, step %d", damage, earlier, told["step"])
            return earlier, told
        raise


def _before_the_end(last: Path, steps: int) -> Path | None:
    """Where to go on in a run that was broken off between its last checkpoint and its results."""
    for earlier, told in _earlier(last):
        if told["step"] < steps:
            log.warning(
                "the run of %s ended before its results were written; its last steps are made again, from %s, step %d",
                last,
                earlier,
                told["step"],
            )
            return earlier
    log.warning("the run of %s ended before its results were written, and begins anew: nothing is kept before it", last)
    return None


def _earlier(path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The earlier states of a checkpoint that are whole, and what they say of themselves, the newest first."""
    for earlier in earlier_paths(path):
        try:
            told = read(earlier)["upnet"]
        except ValueError as fault:
            log.warning("%s", fault)
        else:
            yield earlier, told


def _concluded(path: Path, steps: int) -> bool:
    """Whether the run of a checkpoint has left everything of so many steps; so is one that lies in no run's folder."""
    folder = path.parent.parent
    if path.parent.name != "checkpoints" or path.name != LAST:
        return True
    try:
        return read_results(folder / "results.json").get("step") == steps and any(
            (folder / name).exists() for name in (CONCLUDED, NOT_DRAWN)
        )
    except ValueError:
        return False
