"""Train a network from a config, score it, and say what to do next.

python train.py                     the default: minutes on two cores, no download
python train.py --help              every setting
"""

import hydra
from omegaconf import DictConfig


@hydra.main(config_path="configs", config_name="train", version_base="1.3")
def main(config: DictConfig) -> float:
    """Compose, check, fit, score."""
    from upnet.running import told

    with told(debug=config.get("debug") is True):
        from upnet.config import check
        from upnet.settings import TrainSettings
        from upnet.training import train

        check(config, TrainSettings)
        content = train(config)
    datasets = content["datasets"].values()
    return sum(float(dataset["psnr"]) for dataset in datasets) / len(datasets)


if __name__ == "__main__":
    main()
