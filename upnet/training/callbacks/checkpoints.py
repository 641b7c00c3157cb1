"""Save checkpoints/last.ckpt and checkpoints/best.ckpt."""

import logging
import math
import os
import time
from pathlib import Path
from typing import Annotated, Any

import pytorch_lightning as pl
from annotated_types import Ge, Gt
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.trainer.states import TrainerFn

from upnet.checkpoint import read
from upnet.utils.run_dirs import BEST, LAST

MONITOR = "val/psnr"
"""The metric that is highest in best.ckpt."""

STATE_KEY = (
    f"Checkpoints{{'monitor': '{MONITOR}', 'mode': 'max', 'every_n_train_steps': 0, 'every_n_epochs': 1, "
    "'train_time_interval': None}"
)
"""The key of this callback's state in a checkpoint: that of Lightning's ModelCheckpoint, its former base class."""

log = logging.getLogger(__name__)


class Checkpoints(Checkpoint):
    """Save last.ckpt, the newest state, and best.ckpt, the state with the highest validation PSNR.

    folder:  the folder of the files.
    keep:    number of earlier versions of last.ckpt, named last-1.ckpt (the newest), last-2.ckpt, …
    minutes: between validations, last.ckpt is also written if it is older than this. None: it is only written after
             validations and at the end of the training.

    last.ckpt is written after every validation, and at the end of the training if the last step is not saved yet. If
    the PSNR is the highest so far, best.ckpt becomes a second name (a hard link) of the same file. A resumed run reads
    the highest PSNR from the best.ckpt in `folder`, so that the folder may be moved or renamed.

    >>> Checkpoints("run/checkpoints", keep=1).last.name
    'last.ckpt'
    """

    def __init__(
        self, folder: str, keep: Annotated[int, Ge(0)] = 2, minutes: Annotated[float, Gt(0)] | None = 10.0
    ) -> None:
        self.dirpath = Path(folder).expanduser().absolute()
        self.keep = keep
        self.minutes = minutes
        self.best_model_score: float | None = None
        self._saved_step: int | None = None
        self._saved_at = time.monotonic()

    @property
    def last(self) -> Path:
        """The path of last.ckpt."""
        return self.dirpath / LAST

    @property
    def state_key(self) -> str:
        """STATE_KEY."""
        return STATE_KEY

    def state_dict(self) -> dict[str, Any]:
        """The highest PSNR in dB so far. In best.ckpt it is that of its own weights."""
        return {"best_model_score": self.best_model_score}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Start to measure the age of last.ckpt."""
        self._saved_step, self._saved_at = None, time.monotonic()

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Read the highest PSNR, in the first process only, since the others write no files."""
        best = self.dirpath / BEST
        if not trainer.is_global_zero or not best.is_file():
            return
        # If both are the same file, it is not read again.
        same = trainer.ckpt_path is not None and os.path.samefile(best, trainer.ckpt_path)
        self.best_model_score = read_best_psnr(best, checkpoint if same else None)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Flush the logs to disk before the checkpoint, so that they have no gap if the run is killed and resumed."""
        for logger in trainer.loggers:
            logger.save()
        self._saved_at = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save between validations if last.ckpt is older than `minutes`."""
        validates = (batch_idx + 1) % int(trainer.val_check_batch or 1) == 0
        if self.minutes is None or validates or trainer.global_step >= trainer.max_steps:
            return
        ends_step = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        due = ends_step and time.monotonic() - self._saved_at > self.minutes * 60
        if trainer.world_size > 1 and ends_step:
            due = trainer.strategy.broadcast(due)
        if due:
            self._save(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the validated step, also as best.ckpt if its PSNR is the highest so far."""
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking:
            return
        psnr = float(trainer.callback_metrics[MONITOR])
        psnr = -math.inf if math.isnan(psnr) else psnr
        best = self.best_model_score is None or psnr > self.best_model_score
        if best:
            self.best_model_score = psnr
        self._save(trainer, best)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the last step if it is not saved yet: a signal or a time limit may stop between validations."""
        if self._saved_step != trainer.global_step:
            self._save(trainer)

    def _save(self, trainer: pl.Trainer, best: bool = False) -> None:
        """Write last.ckpt, and best.ckpt as a second name of it if `best`."""
        trainer.save_checkpoint(self.last, storage_options=self.dirpath / BEST if best else None)
        self._saved_step = trainer.global_step


def read_best_psnr(best: Path, content: dict[str, Any] | None = None) -> float | None:
    """The validation PSNR in dB of a best.ckpt; None if the file is damaged and may be replaced.

    content: the content of the file if it has already been read.
    """
    try:
        content = read(best) if content is None else content
        return float(content["callbacks"][STATE_KEY]["best_model_score"])
    except (ValueError, KeyError, TypeError) as error:
        log.warning("%s has no readable PSNR, and the next validation replaces it: %s", best, error)
        return None
