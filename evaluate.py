"""Score checkpoints, upscale pictures, compare the runs of a study.

python evaluate.py checkpoint=PATH                          score on the built-in photographs
python evaluate.py checkpoint=PATH input=A.png output=B.png upscale a picture or a folder
python evaluate.py study=FOLDER                             one table across operators
python evaluate.py --help                                   every setting
"""

from omegaconf import DictConfig

from upnet.running import command


@command("evaluate")
def main(config: DictConfig) -> None:
    """Compose, check, then whichever of the three was asked for."""
    from upnet.config import check
    from upnet.settings import EvaluateSettings

    # Evaluation reads the test sets; what a data set is trained on is not looked at.
    config.data.train = None
    check(config, EvaluateSettings)
    if (config.study is None) == (config.checkpoint is None):
        raise ValueError("give either checkpoint=PATH, to score it or upscale by it, or study=FOLDER")
    if config.study is not None:
        from upnet.evaluating import compare_study

        compare_study(config)
    elif config.input is not None:
        from upnet.upscaling import upscale

        upscale(config)
    else:
        from upnet.evaluating import score_checkpoints

        score_checkpoints(config)


if __name__ == "__main__":
    main()
