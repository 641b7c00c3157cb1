"""Run a command that is configured by Hydra: compose the config, run the job, report errors, return the exit code."""

import functools
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf

from upnet.cli.errors import as_user_error, reject_unknown_options
from upnet.cli.startup import (
    FAILED,
    INTERRUPTED_MESSAGE,
    OK,
    SIGNALLED,
    USER_ERROR,
    at_early_exit,
    is_interrupt,
)
from upnet.config.compose import apply_target_overrides
from upnet.utils.errors import InterruptedRunError, RunError, UserError
from upnet.utils.overrides import PATH_SETTINGS, quote_path_overrides
from upnet.utils.paths import CONFIGS, expand_user
from upnet.utils.printable import escape_unencodable_output
from upnet.utils.run_dirs import config_subdir, create_run_dir, create_sweep_dir, resolve_run_dir

Job = Callable[[DictConfig], object]


def run_app(config_name: str, job: Job, argv: Sequence[str]) -> int:
    """Compose the config, call the job with it, and return the exit code.

    config_name: the stem of a yaml in configs/, which is also the name of the command.
    argv:        the arguments after the name of the command: Hydra's overrides and options.

    A UserError is printed as one line and gives 2, a failed run 1; any other exception shows its traceback and gives 1.
    In a multirun a failed run is reported at once, the other runs follow, and the exit code is that of the first
    failure.
    """
    # With this setting Hydra raises the error of a job. Without it, Hydra exits with code 1 after any error.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    escape_unencodable_output()
    _register_resolvers()
    original_argv = sys.argv
    try:
        with _reported_errors(config_name, argv, in_job=False):
            argv = [_none_for_null(argument) for argument in argv]
            reject_unknown_options(argv, config_name)
            multirun = not {"-m", "--multirun", "hydra.mode=MULTIRUN"}.isdisjoint(argv)
            # Hydra reads sys.argv. Lightning starts the processes of a ddp training with it, so the job restores it.
            sys.argv = [original_argv[0], *quote_path_overrides(argv, multirun)]
            program = _hydra_program(config_name, job, argv, original_argv)
            program()
    except SystemExit as exit:
        if is_interrupt(exit):
            raise
        return exit.code if isinstance(exit.code, int) else OK if exit.code is None else FAILED
    finally:
        sys.argv = original_argv
    return OK


def _hydra_program(config_name: str, job: Job, argv: Sequence[str], original_argv: list[str]) -> Callable[[], None]:
    @functools.wraps(job)
    def run(config: DictConfig) -> object:
        sys.argv = original_argv
        with _reported_errors(config_name, argv, in_job=True):
            if not in_multirun() and not _run_dir_existed():
                at_early_exit(lambda: remove_unused_folder(Path(HydraConfig.get().runtime.output_dir)))
            expand_home(config)
            reject_nested_launches(config)
            apply_target_overrides(config, HydraConfig.get().overrides.task)
            return job(config)

    return hydra.main(config_path=str(CONFIGS), config_name=config_name, version_base="1.3")(run)


def _register_resolvers() -> None:
    """Register the resolvers that configs/train.yaml and configs/evaluate.yaml use for the folder of a run."""
    for resolver in (resolve_run_dir, config_subdir, create_run_dir, create_sweep_dir):
        # Cached, since a second call would return another folder as soon as the first has been created.
        OmegaConf.register_new_resolver(resolver.__name__, resolver, use_cache=True, replace=True)


def _none_for_null(argument: str) -> str:
    """`logger=none` for `logger=null`, which Hydra rejects; the same for each group that has the choice `none`."""
    group, _, value = argument.partition("=")
    return f"{group}=none" if value == "null" and (CONFIGS / group / "none.yaml").is_file() else argument


def expand_home(config: DictConfig) -> None:
    """Expand `~` in the paths that a yaml contains, as quote_path_overrides() does for those on the command line."""
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
    """The names of the settings given on the command line."""
    overrides = HydraConfig.get().overrides.task if HydraConfig.initialized() else []
    return {override.lstrip("+").partition("=")[0] for override in overrides}


def reject_other_scale(config: DictConfig, scale: int, checkpoint: str | Path) -> None:
    """Raise UserError if the command line gives another scale than that of the checkpoint's network."""
    given = given_settings()
    for name, value in (("scale", config.scale), ("data.scale", config.data.scale)):
        if name in given and value != scale:
            raise UserError(
                f"the network of {checkpoint} has scale {scale}",
                setting=name,
                value=value,
                cure=f"Leave {name} out, or give a checkpoint of that scale",
            )


@contextmanager
def _reported_errors(config_name: str, argv: Sequence[str], in_job: bool) -> Iterator[None]:
    """Print an error that the user can act on as one line and exit with its code; let any other exception through.

    in_job: whether Hydra has composed the config and entered the job.
    """
    debug = "debug=true" in argv
    try:
        yield
    except (Exception, KeyboardInterrupt, SystemExit) as raised:
        interrupted = is_interrupt(raised) and not isinstance(raised, InterruptedRunError)
        if isinstance(raised, SystemExit) and not interrupted:
            raise
        error: BaseException = raised
        if interrupted:
            error = InterruptedRunError(INTERRUPTED_MESSAGE, signal.SIGINT)
        elif isinstance(raised, Exception):
            error = as_user_error(raised, config_name, argv, in_job) or raised
        code = _exit_code(error)
        if in_job and in_multirun() and not isinstance(error, InterruptedRunError):
            # Hydra reports only the first failure, and only when all runs have ended.
            message = error if code is not None and not debug else traceback.format_exc()
            print(f"\nrun {HydraConfig.get().job.id} failed: {message}", file=sys.stderr, flush=True)
            raise
        # Only a folder without results is removed: a run that failed later keeps its files.
        not_started = code is not None
        if not_started and in_job and not in_multirun() and not _run_dir_existed():
            remove_unused_folder(Path(HydraConfig.get().runtime.output_dir))
        if code is None or (debug and not interrupted):
            raise
        print(f"\n{error}", file=sys.stderr, flush=True)
        raise SystemExit(code) from None


def _exit_code(error: BaseException) -> int | None:
    """The exit code of an error that is reported as one line; None for one that shows its traceback."""
    if isinstance(error, InterruptedRunError):
        return SIGNALLED + error.signal
    if isinstance(error, UserError):
        return USER_ERROR
    return FAILED if isinstance(error, RunError) else None


def _run_dir_existed() -> bool:
    """Whether an earlier start created the folder of the run: Hydra then writes no config into it."""
    hydra_config = HydraConfig.get()
    folder = Path(hydra_config.runtime.output_dir)
    return hydra_config.output_subdir is None and (folder / "config/hydra.yaml").exists()


def remove_unused_folder(folder: Path) -> None:
    """Remove the folder of a run that was rejected or interrupted before it began, with the files Hydra wrote to it.

    A folder that contains anything else stays as it is.
    """
    hydra_files = [folder / f"config/{name}.yaml" for name in ("config", "hydra", "overrides")] + list(
        folder.glob("*.log")
    )
    if set(folder.rglob("*")) - {*hydra_files, folder / "config", folder / ".lock"}:
        return
    with suppress(OSError):
        for path in (*hydra_files, folder / ".lock"):
            path.unlink(missing_ok=True)
        for directory in (folder / "config", folder, *folder.parents[:2]):
            if directory.is_dir():
                directory.rmdir()  # fails if it is not empty


def in_multirun() -> bool:
    """Whether this is one run of a multirun."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def reject_nested_launches(config: DictConfig) -> None:
    """Raise UserError for a multirun of runs that start further processes: each would repeat the multirun."""
    if in_multirun() and str(OmegaConf.select(config, "trainer.strategy")).startswith("ddp"):
        raise UserError(
            "trainer=ddp can't be combined with -m: every process of a run would start all runs",
            cure="Start the runs one by one",
        )
