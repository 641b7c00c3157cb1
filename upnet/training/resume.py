"""Where a training goes on."""

import itertools
import logging
from pathlib import Path
from typing import Any

from upnet.callbacks import earlier_path
from upnet.checkpoint import SUFFIX, DamagedCheckpointError, read

log = logging.getLogger(__name__)


def find_checkpoint(ckpt: str | None, model: dict[Any, Any], settings: dict[str, Any], steps: int) -> str | None:
    """The checkpoint to resume from; where it is damaged, the newest whole one before it.

    Raises ValueError where there is none, it holds another network, was trained under other settings, or is finished.
    Only the number of steps may be raised.
    """
    if ckpt is None:
        return None
    path = newest_checkpoint(Path("runs")) if ckpt == "last" else Path(ckpt)
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
        raise ValueError(f"{path} is finished: it has made {told['step']} steps of {steps}; raise steps= to go on")
    log.info("resuming from %s, step %d", path, told["step"])
    return str(path)


def _newest_whole(path: Path) -> tuple[Path, dict[str, Any]]:
    """A checkpoint, or the newest whole one before it, and what it says of itself."""
    ages = itertools.takewhile(Path.is_file, (earlier_path(path, age) for age in itertools.count(1)))
    try:
        return path, read(path)["upnet"]
    except DamagedCheckpointError as damage:
        for earlier in ages:
            try:
                told = read(earlier)["upnet"]
            except DamagedCheckpointError as fault:
                log.warning("%s", fault)
                continue
            log.warning("%s. Going on from the one before it, %s, step %d", damage, earlier, told["step"])
            return earlier, told
        raise


def newest_checkpoint(folder: Path) -> Path:
    """The last.ckpt written last below a folder. Raises ValueError where there is none."""
    found = sorted(folder.glob("**/checkpoints/last.ckpt"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise ValueError(f"ckpt=last looks for checkpoints/last.ckpt below {folder}/, and there is none; give its path")
    return found[-1]
