"""How a command starts and ends: one clear sentence and the right exit code."""

import functools
import logging
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from upnet.folders import folder_of_config, folder_of_run

USER, FAILED, SIGNALLED = 2, 1, 128
"""Exit codes: the user's setting or file is wrong; the run failed; a signal of that number more broke it off."""

CONFIGS = Path(__file__).resolve().parent.parent / "configs"

# Asked for by configs/train.yaml; kept, since what they find changes as soon as a run has begun.
OmegaConf.register_new_resolver("folder_of_run", folder_of_run, use_cache=True)
OmegaConf.register_new_resolver("folder_of_config", folder_of_config, use_cache=True)


class InterruptedRunError(Exception):
    """Training was ended by a signal, and saved; the message says how to go on.

    signal: its number, which the exit code tells: 130 after Ctrl-C, 143 after SIGTERM, 138 after SIGUSR1.
    """

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.signal = signal


def command(config_name: str) -> Callable[[Callable[[DictConfig], object]], Callable[[], None]]:
    """Make a Hydra program of a function, that ends with a sentence where its user can mend what is wrong.

    Exit codes: 0; 2 for a setting or a file that is wrong; 1 for a run that failed; 130 after Ctrl-C.
    In a multirun a run that fails is told at once, the others follow, and the exit code is that of the first failure.
    """

    def decorate(function: Callable[[DictConfig], object]) -> Callable[[], None]:
        @functools.wraps(function)
        def job(config: DictConfig) -> object:
            with _told(in_job=True, debug=config.get("debug") is True):
                refuse_nested_processes(config)
                retarget(config, HydraConfig.get().overrides.task)
                return function(config)

        program = hydra.main(config_path=str(CONFIGS), config_name=config_name, version_base="1.3")(job)

        def run() -> None:
            # Hydra then lets errors through, instead of ending the program with exit code 1 whatever they are.
            os.environ.setdefault("HYDRA_FULL_ERROR", "1")
            with _told(in_job=False, debug="debug=true" in sys.argv):
                program()

        return run

    return decorate


def retarget(config: DictConfig, overrides: Sequence[str]) -> None:
    """Where the command line replaces a component, `model.upsampler._target_=my.module.Operator`, drop its settings.

    They were the replaced component's; what the command line itself says of the new one stays.
    """
    paths = [word.lstrip("+").partition("=")[0] for word in overrides]
    for path in (path.removesuffix("._target_") for path in paths if path.endswith("._target_")):
        node = OmegaConf.select(config, path)
        with open_dict(config):
            for key in list(node):
                own = any(word == f"{path}.{key}" or word.startswith(f"{path}.{key}.") for word in paths)
                if key not in ("_target_", "_partial_") and not own:
                    del node[key]


@contextmanager
def _told(in_job: bool, debug: bool) -> Iterator[None]:
    try:
        yield
    except Exception as fault:
        code = _exit_code(fault)
        if in_job and in_multirun() and not isinstance(fault, InterruptedRunError):
            # Hydra tells the first failure only, and only when all runs are through.
            told = fault if code is not None and not debug else traceback.format_exc()
            print(f"\nrun {HydraConfig.get().job.id} failed: {told}", file=sys.stderr, flush=True)
            raise
        # Where an earlier start has written the folder's config, Hydra writes none, and the folder is that one's.
        if code == USER and in_job and not in_multirun() and HydraConfig.get().output_subdir is not None:
            forget_run(Path(HydraConfig.get().runtime.output_dir))
        if code is None or debug:
            raise
        print(f"\n{_sentence(fault) if in_job else _folder_refused(fault)}", file=sys.stderr, flush=True)
        raise SystemExit(code) from None


def forget_run(folder: Path) -> None:
    """Remove the folder of a run that was refused before it began: what Hydra wrote ahead, and nothing else.

    A folder that holds anything more is left as it is.
    """
    ahead = [folder / f"config/{name}.yaml" for name in ("config", "hydra", "overrides")] + list(folder.glob("*.log"))
    if set(folder.rglob("*")) - {*ahead, folder / "config", folder / ".lock"}:
        return
    with suppress(OSError):
        for path in (*ahead, folder / ".lock"):
            path.unlink(missing_ok=True)
        for empty in (folder / "config", folder, *folder.parents[:2]):
            if empty.is_dir():
                empty.rmdir()


def in_multirun() -> bool:
    """Whether this is one run of several."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def refuse_nested_processes(config: DictConfig) -> None:
    """Raise ValueError for a multirun of trainings that start processes of their own, each of which would repeat it."""
    if in_multirun() and str(OmegaConf.select(config, "trainer.strategy")).startswith("ddp"):
        raise ValueError(
            "trainer=ddp doesn't go with -m, whose every process would start all runs; run them one by one"
        )


def _exit_code(fault: BaseException) -> int | None:
    """The code for what a user can mend or has been told; None for what is nobody's fault but the code's."""
    if isinstance(fault, InterruptedRunError):
        return SIGNALLED + fault.signal
    if isinstance(fault, ValueError | OSError | HydraException):
        return USER
    return FAILED if type(fault).__module__.startswith("upnet.") else None


def _sentence(fault: BaseException) -> str:
    if not isinstance(fault, HydraException):
        return str(fault)
    misspelt = re.match(r"Could not override '([^']+)'", str(fault))
    return _unknown_setting(misspelt[1]) if misspelt else " ".join(str(fault).split())


def _folder_refused(fault: BaseException) -> str:
    """What goes wrong with files before a job begins goes wrong with the folder that Hydra makes for it."""
    cause = fault.__cause__ if isinstance(fault.__cause__, OSError) else fault
    if not isinstance(cause, OSError):
        return _sentence(fault)
    return f"{cause.filename} can't be written: {cause.strerror}; name a folder that can by hydra.run.dir=FOLDER"


def _unknown_setting(key: str) -> str:
    """Hydra refuses a key before our own check sees it, and doesn't say what may have been meant."""
    from upnet.config.faults import did_you_mean

    groups = [word for word in sys.argv[1:] if (CONFIGS / word.partition("=")[0].lstrip("+")).is_dir()]
    groups = [word for word in groups if not re.search(r"[,(]", word)]
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        node = hydra.compose(Path(sys.argv[0]).stem, overrides=groups)
    parent, _, last = key.rpartition(".")
    while parent and not isinstance(OmegaConf.select(node, parent), DictConfig):
        parent, _, last = parent.rpartition(".")
    owner = OmegaConf.select(node, parent) if parent else node
    names = sorted(str(name) for name in owner if not str(name).startswith("_"))
    place = parent or "the root"
    return f"{key}: {place} has no setting {last}{did_you_mean(last, names) or '.'} It has {', '.join(names)}"


def quiet() -> None:
    """Hold back Lightning's advice about things that are meant to be as they are."""
    for name in ("pytorch_lightning", "pytorch_lightning.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        r".*does not have many workers.*",
        r".*Checkpoint directory .* exists.*",
        r".*isinstance\(treespec, LeafSpec\).*",
        r".*smaller than the logging interval.*",
    ):
        warnings.filterwarnings("ignore", message)
