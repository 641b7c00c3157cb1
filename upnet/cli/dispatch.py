"""`upnet evaluate`: select one of its uses from the settings, check the config, and call that use.

Mistakes on the command line are reported before torch is imported, which takes seconds.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upnet.cli.startup import ctrl_c_raises
from upnet.utils.errors import UserError
from upnet.utils.paths import as_list, require_checkpoint

if TYPE_CHECKING:
    from omegaconf import DictConfig

USES = ("checkpoint", "study", "results", "baseline")
"""The settings that select a use; exactly one is given."""

_REQUIRED = {"output": "input", "weights": "checkpoint", "ensemble": "checkpoint", "tile": "checkpoint"}
"""Settings of evaluate -> the setting without which they have no effect."""


def main(argv: Sequence[str]) -> int:
    """Run the command and return its exit code. argv: the overrides and options after `upnet evaluate`."""
    from upnet.cli.app import run_app

    return run_app("evaluate", evaluate, argv)


def evaluate(config: "DictConfig") -> None:
    """Check a composed config and call the use that it selects."""
    from upnet.cli.app import given_settings

    use = requested_use(config, USES, given_settings())
    # torch is imported from here on.
    from upnet.config import check
    from upnet.config.schema import EvaluateSettings

    check(config, EvaluateSettings)
    from upnet.cli.evaluate import evaluate_baseline, evaluate_checkpoints, export_checkpoint
    from upnet.cli.report import compare_results, report_study
    from upnet.cli.upscale import upscale_images

    ctrl_c_raises()
    checkpoint_uses = {"input": upscale_images, "export": export_checkpoint}
    by_checkpoint = next(
        (run for name, run in checkpoint_uses.items() if config[name] is not None), evaluate_checkpoints
    )
    runs = {
        "checkpoint": by_checkpoint,
        "study": report_study,
        "results": compare_results,
        "baseline": evaluate_baseline,
    }
    runs[use](config)


def requested_use(config: Mapping[str, Any], uses: Collection[str], given: Collection[str] = ()) -> str:
    """The one setting of `uses` that is not null.

    given: the names of the settings on the command line.

    Raises UserError if none or several are set, if a checkpoint doesn't exist, and for a given setting that has no
    effect on the use.
    """
    requested = [use for use in uses if config[use] is not None]
    if len(requested) != 1:
        raise UserError(
            f"give exactly one of checkpoint=PATH, study=FOLDER, results=PATH and baseline=NAME; "
            f"got {' and '.join(requested) or 'none of them'}"
        )
    (use,) = requested
    if config["input"] is not None and use != "checkpoint":
        cure = f"Give checkpoint=PATH instead of {use}={config[use]}"
        raise UserError("only a checkpoint upscales images", setting="input", value=config["input"], cure=cure)
    if config["export"] is not None and (use != "checkpoint" or config["input"] is not None):
        other = "input=" if config["input"] is not None else f"{use}="
        cure = f"Give checkpoint=PATH, and leave {other} out"
        raise UserError("only a checkpoint is exported", setting="export", value=config["export"], cure=cure)
    for name, needed in _REQUIRED.items():
        if name in given and config[name] is not None and config[needed] is None:
            cure = f"Give {needed}=, or leave {name} out"
            raise UserError(f"has no effect without {needed}=", setting=name, value=config[name], cure=cure)
    if "scale" in given and use not in ("checkpoint", "baseline"):
        raise UserError(f"has no effect on {use}=", setting="scale", value=config["scale"], cure="Leave scale out")
    checkpoint = config["checkpoint"]
    if use == "checkpoint" and isinstance(checkpoint, str | Sequence):  # the check of the config rejects other types
        for path in as_list(checkpoint):
            require_checkpoint(Path(path))
    return use
