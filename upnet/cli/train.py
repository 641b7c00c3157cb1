"""`upnet train`: compose and check the config, then train, or run a study."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from upnet.cli.startup import ctrl_c_raises

if TYPE_CHECKING:
    from omegaconf import DictConfig


def main(words: Sequence[str]) -> int:
    """Run the command and return its exit code. words: the overrides and options behind `upnet train`."""
    from upnet.cli.app import run_app

    return run_app("train", train, words)


def train(config: "DictConfig") -> float | None:
    """Train from a composed config and return the mean PSNR in dB, which Hydra's sweepers read; None for a study."""
    from upnet.config import check
    from upnet.config.schema import TrainSettings

    settings = check(config, TrainSettings)
    if settings.study is not None:
        from upnet.study.runner import run_study

        ctrl_c_raises()
        run_study(config)
        return None
    from upnet.training import train as train_network

    ctrl_c_raises()
    datasets = train_network(settings)["datasets"].values()
    return sum(float(dataset["psnr"]) for dataset in datasets) / len(datasets)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
