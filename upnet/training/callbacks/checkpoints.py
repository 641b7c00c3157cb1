"""checkpoints/last.ckpt and checkpoints/best.ckpt."""

import logging
import math
import time
from pathlib import Path
from typing import Annotated, Any

import pytorch_lightning as pl
from annotated_types import Ge, Gt
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.trainer.states import TrainerFn

from upnet.checkpoint import read
from upnet.training.callbacks.checkpoint_io import CheckpointFiles
from upnet.utils.run_dirs import BEST, LAST

MONITOR = "val/psnr"
"""What the best checkpoint is the best by; higher is better."""
STATE_KEY = (
    f"Checkpoints{{'monitor': '{MONITOR}', 'mode': 'max', 'every_n_train_steps': 0, 'every_n_epochs': 1, "
    "'train_time_interval': None}"
)
"""Where a checkpoint keeps the state of this callback; Lightning's ModelCheckpoint, once its base, made up the name."""

log = logging.getLogger(__name__)


class Checkpoints(Checkpoint):
    """Write `last.ckpt`, the state after the last training step, and `best.ckpt`, that of the highest validation PSNR.

    folder:  where they go.
    keep:    how many earlier states of last.ckpt stay beside it, as last-1.ckpt, last-2.ckpt and so on.
    minutes: last.ckpt is written between two validations as well, when so much time has passed since the last writing;
             null writes it after validations and at the end of training only.

    last.ckpt is written after every validation, whatever its score, and at the end of training if the last step is not
    saved yet. If the validation scores higher than all before it, best.ckpt becomes a second name of the same file. A
    resumed run reads the score to beat from the best.ckpt in its folder, so the folder may have been moved or renamed.
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
        """See STATE_KEY."""
        return STATE_KEY

    def state_dict(self) -> dict[str, Any]:
        """The highest score so far, which in best.ckpt is its own."""
        return {"best_model_score": self.best_model_score}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Take over how checkpoints of this trainer are written."""
        trainer.strategy.checkpoint_io = CheckpointFiles(self.keep)
        self._saved_step, self._saved_at = None, time.monotonic()

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Read the score to beat; the first process alone writes files, and decides."""
        if trainer.is_global_zero:
            self.best_model_score = recorded_score(self.dirpath / BEST)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """What was logged up to a checkpoint reaches the disk before it, so that a resumed run leaves no gap."""
        for logger in trainer.loggers:
            logger.save()
        self._saved_at = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save, where it is time to."""
        validated = (batch_idx + 1) % int(trainer.val_check_batch or 1) == 0
        if self.minutes is None or validated or trainer.global_step >= trainer.max_steps:
            return
        whole = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        due = whole and time.monotonic() - self._saved_at > self.minutes * 60
        if trainer.world_size > 1 and whole:
            due = trainer.strategy.broadcast(due)
        if due:
            self._save(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the step that was validated, also as best.ckpt if no validation so far has scored higher."""
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking:
            return
        score = float(trainer.callback_metrics[MONITOR])
        score = -math.inf if math.isnan(score) else score
        best = self.best_model_score is None or score > self.best_model_score
        if best:
            self.best_model_score = score
        self._save(trainer, best)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the last step, unless it is saved already: a signal or a limit ends training between validations."""
        if self._saved_step != trainer.global_step:
            self._save(trainer)

    def _save(self, trainer: pl.Trainer, best: bool = False) -> None:
        """Write last.ckpt, and give it the second name best.ckpt if it is the best."""
        trainer.save_checkpoint(self.last, storage_options=self.dirpath / BEST if best else None)
        self._saved_step = trainer.global_step


def recorded_score(best: Path) -> float | None:
    """The validation PSNR in dB of a best.ckpt; None if there is none, or it is damaged and may be replaced."""
    if not best.is_file():
        return None
    try:
        return float(read(best)["callbacks"][STATE_KEY]["best_model_score"])
    except (ValueError, KeyError, TypeError) as fault:
        log.warning("%s has no readable score, and the next validation replaces it: %s", best, fault)
        return None
