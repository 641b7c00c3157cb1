"""Train a network from a config, score it, and say what to do next.

python train.py                     the default: minutes on two cores, no download
python train.py experiment=study/NAME   a study: every arm with every seed
python train.py --help              every setting
"""

from typing import TYPE_CHECKING

from upnet.cli.program import command
from upnet.cli.startup import at_work

if TYPE_CHECKING:
    from omegaconf import DictConfig


@command("train")
def main(config: "DictConfig") -> float | None:
    """Compose, check, fit, score. The mean PSNR comes back, for Hydra's sweepers; of a study, nothing does."""
    from upnet.config import check
    from upnet.config.schema import TrainSettings

    check(config, TrainSettings)
    if config.study is not None:
        from upnet.study.runner import run_study

        at_work()
        run_study(config)
        return None
    from upnet.training import train

    at_work()
    datasets = train(config)["datasets"].values()
    return sum(float(dataset["psnr"]) for dataset in datasets) / len(datasets)


if __name__ == "__main__":
    main()
