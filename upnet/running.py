"""How a command ends: one clear sentence and the right exit code."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

USER, FAILED, INTERRUPTED = 2, 1, 130
"""Exit codes: the user's setting or file is wrong; the run failed; it was broken off."""


@contextmanager
def told(debug: bool) -> Iterator[None]:
    """Turn what a user can mend into one sentence on stderr and an exit code; let everything else raise.

    debug: keep the traceback.

    In a multirun the error goes on to Hydra, so that the other runs follow and the sweep ends with an error.
    """
    try:
        yield
    except (ValueError, RuntimeError, InterruptedRunError) as fault:
        code = (
            INTERRUPTED if isinstance(fault, InterruptedRunError) else USER if isinstance(fault, ValueError) else FAILED
        )
        mine = isinstance(fault, ValueError | InterruptedRunError) or type(fault).__module__.startswith("upnet.")
        if debug or not mine or in_multirun():
            raise
        print(f"\n{fault}", file=sys.stderr, flush=True)
        raise SystemExit(code) from None


class InterruptedRunError(Exception):
    """Training was ended by its user, and saved; the message says how to go on."""


def in_multirun() -> bool:
    """Whether this is one run of several."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def quiet() -> None:
    """Lightning's advice about things that are meant to be as they are."""
    for name in ("pytorch_lightning", "pytorch_lightning.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        r".*does not have many workers.*",
        r".*`training_step` returned.*",
        r".*Checkpoint directory .* exists.*",
        r".*isinstance\(treespec, LeafSpec\).*",
        r".*smaller than the logging interval.*",
    ):
        warnings.filterwarnings("ignore", message)
