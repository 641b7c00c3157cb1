"""How a command starts and ends: one clear sentence and the right exit code."""

import functools
import logging
import os
import signal
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
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict

from upnet.cli.errors import CONFIGS, folder_refused, refuse_options, sentence
from upnet.cli.startup import BROKEN_OFF, broke_off, clear_away_by
from upnet.utils.overrides import PATH_SETTINGS, quote_path_overrides
from upnet.utils.paths import expand_user
from upnet.utils.printable import escape_unencodable_output
from upnet.utils.run_dirs import config_subdir, create_run_dir, create_sweep_dir, resolve_run_dir

USER, FAILED, SIGNALLED = 2, 1, 128
"""Exit codes: the user's setting or file is wrong; the run failed; a signal of that number more broke it off."""

# Resolvers of configs/train.yaml and evaluate.yaml; cached, since their values change as soon as a run has begun.
for _resolver in (resolve_run_dir, config_subdir, create_run_dir, create_sweep_dir):
    OmegaConf.register_new_resolver(_resolver.__name__, _resolver, use_cache=True)


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
                if not in_multirun() and not _of_earlier_start():
                    clear_away_by(lambda: forget_run(Path(HydraConfig.get().runtime.output_dir)))
                expand_home(config)
                refuse_nested_processes(config)
                retarget(config, HydraConfig.get().overrides.task)
                return function(config)

        program = hydra.main(config_path=str(CONFIGS), config_name=config_name, version_base="1.3")(job)

        def run() -> None:
            # Hydra then lets errors through, instead of ending the program with exit code 1 whatever they are.
            os.environ.setdefault("HYDRA_FULL_ERROR", "1")
            escape_unencodable_output()
            sys.argv[1:] = map(none_for_null, sys.argv[1:])
            with _told(in_job=False, debug="debug=true" in sys.argv):
                refuse_options(sys.argv[1:], config_name)
                multirun = not {"-m", "--multirun", "hydra.mode=MULTIRUN"}.isdisjoint(sys.argv)
                sys.argv[1:] = quote_path_overrides(sys.argv[1:], multirun)
                program()

        return run

    return decorate


def none_for_null(word: str) -> str:
    """`logger=none` for `logger=null`, which Hydra refuses; so for each group that has the choice none."""
    group, _, value = word.partition("=")
    return f"{group}=none" if value == "null" and (CONFIGS / group / "none.yaml").is_file() else word


def retarget(config: DictConfig, overrides: Sequence[str]) -> None:
    """Where the command line replaces a component, `model.upsampler._target_=my.module.Operator`, drop its settings.

    They were the replaced component's; what the command line itself says of the new one stays, and so does what the
    new one requires.
    """
    from upnet.config.signatures import required

    paths = [word.lstrip("+").partition("=")[0] for word in overrides]
    for path in (path.removesuffix("._target_") for path in paths if path.endswith("._target_")):
        node = OmegaConf.select(config, path)
        needed = required(node["_target_"])
        with open_dict(config):
            for key in list(node):
                own = any(word == f"{path}.{key}" or word.startswith(f"{path}.{key}.") for word in paths)
                if key not in ("_target_", "_partial_", *needed) and not own:
                    del node[key]


def expand_home(config: DictConfig) -> None:
    """Expand `~` in the paths that a yaml names, as quote_path_overrides() does in those of the command line."""
    for name in PATH_SETTINGS:
        group, _, key = name.rpartition(".")
        node = OmegaConf.select(config, group) if group else config
        if not isinstance(node, DictConfig) or key not in node or OmegaConf.is_interpolation(node, key):
            continue
        value = node[key]
        if isinstance(value, str):
            node[key] = _expanded(value)
        elif isinstance(value, ListConfig):
            node[key] = [_expanded(item) if isinstance(item, str) else item for item in value]


def _expanded(path: str) -> str:
    return str(expand_user(path)) if path.startswith("~") else path


def given_settings() -> set[str]:
    """The settings that the command line sets, be it to their defaults."""
    words = HydraConfig.get().overrides.task if HydraConfig.initialized() else []
    return {word.lstrip("+").partition("=")[0] for word in words}


def refuse_other_scale(config: DictConfig, scale: int, checkpoint: str | Path) -> None:
    """Raise ValueError where the command line gives a scale that is not that of the checkpoint's network."""
    given = given_settings()
    for name, value in (("scale", config.scale), ("data.scale", config.data.scale)):
        if name in given and value != scale:
            raise ValueError(
                f"{name}={value} is not the scale of {checkpoint}, whose network makes pictures {scale} times as "
                f"large; leave {name} out, or give a checkpoint of that scale"
            )


@contextmanager
def _told(in_job: bool, debug: bool) -> Iterator[None]:
    try:
        yield
    except (Exception, KeyboardInterrupt, SystemExit) as raised:
        broken_off = broke_off(raised) and not isinstance(raised, InterruptedRunError)
        if isinstance(raised, SystemExit) and not broken_off:
            raise
        fault = InterruptedRunError(BROKEN_OFF, signal.SIGINT) if broken_off else raised
        code = _exit_code(fault)
        if in_job and in_multirun() and not isinstance(fault, InterruptedRunError):
            # Hydra tells the first failure only, and only when all runs are through.
            told = fault if code is not None and not debug else traceback.format_exc()
            print(f"\nrun {HydraConfig.get().job.id} failed: {told}", file=sys.stderr, flush=True)
            raise
        if (
            (code == USER or isinstance(fault, InterruptedRunError))
            and in_job
            and not in_multirun()
            and not _of_earlier_start()
        ):
            forget_run(Path(HydraConfig.get().runtime.output_dir))
        if code is None or (debug and not broken_off):
            raise
        print(f"\n{sentence(fault) if in_job else folder_refused(fault)}", file=sys.stderr, flush=True)
        raise SystemExit(code) from None


def _of_earlier_start() -> bool:
    """Whether the run's folder was there before: where an earlier start has written its config, Hydra writes none."""
    told = HydraConfig.get()
    return told.output_subdir is None and (Path(told.runtime.output_dir) / "config/hydra.yaml").exists()


def forget_run(folder: Path) -> None:
    """Remove the folder of a run that was refused or interrupted before it began, with what Hydra wrote ahead.

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


def quiet() -> None:
    """Hold back Lightning's advice about things that are meant to be as they are."""
    for name in ("pytorch_lightning", "pytorch_lightning.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        r".*does not have many workers.*",
        r".*Checkpoint directory .* exists.*",
        r".*isinstance\(treespec, LeafSpec\).*",
        r".*smaller than the logging interval.*",
        r".*constructed with capturable=True.*",
    ):
        warnings.filterwarnings("ignore", message)
