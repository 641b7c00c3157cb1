"""The scripts train.py and evaluate.py as programs: heavy imports happen after the Ctrl-C handler is installed."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from upnet.cli.startup import starting
from upnet.utils.provenance import VERSION

if TYPE_CHECKING:
    from omegaconf import DictConfig


def command(config_name: str) -> Callable[[Callable[["DictConfig"], object]], Callable[[], None]]:
    """Make a Hydra program of a function: see `upnet.cli.app.command`, which is imported when the program runs."""

    def decorate(function: Callable[["DictConfig"], object]) -> Callable[[], None]:
        def run() -> None:
            with starting():
                if "--version" in sys.argv[1:]:
                    print(f"upnet {VERSION}")
                    return
                from upnet.cli.app import command as hydra_command

                hydra_command(config_name)(function)()

        return run

    return decorate
