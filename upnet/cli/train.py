"""`upnet train`: compose and check the config, then train, or run a study."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from upnet.cli.startup import ctrl_c_raises
from upnet.utils.errors import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig


def main(argv: Sequence[str]) -> int:
    """Run the command and return its exit code. argv: the overrides and options after `upnet train`."""
    from upnet.cli.app import run_app

    return run_app("train", train, argv)


def train(config: "DictConfig") -> float | None:
    """Train from a composed config and return the mean PSNR in dB, which Hydra's sweepers read; None for a study."""
    from upnet.config import check
    from upnet.config.schema import TrainSettings

    settings = check(config, TrainSettings)
    _reject_unused_root(config)
    if settings.study is not None:
        from upnet.study.runner import run_study

        ctrl_c_raises()
        run_study(config)
        return None
    from upnet.training import train as train_network

    ctrl_c_raises()
    datasets = train_network(settings)["datasets"].values()
    return sum(float(dataset["psnr"]) for dataset in datasets) / len(datasets)


def _reject_unused_root(config: "DictConfig") -> None:
    """Raise UserError if the command line gives data.root, and no setting of data.train refers to it."""
    from omegaconf import OmegaConf

    from upnet.cli.app import given_settings

    root, source = config.data.get("root"), config.data.get("train")
    if "data.root" in given_settings() and root is not None and source and "root}" not in OmegaConf.to_yaml(source):
        problem = "has no effect on the training images, which do not come from a folder"
        raise UserError(problem, setting="data.root", value=root, cure="Add data=folder, or leave it out")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
