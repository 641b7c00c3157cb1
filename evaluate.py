"""Score checkpoints, upscale pictures, compare numbers that were taken before.

python evaluate.py checkpoint=PATH                          score on the built-in photographs
python evaluate.py checkpoint=PATH input=A.png output=B.png upscale a picture or a folder
python evaluate.py checkpoint=PATH export=A.safetensors     write its network to a file that holds numbers only
python evaluate.py baseline=bicubic                         score an interpolation
python evaluate.py study=FOLDER                             one table across operators
python evaluate.py 'results=[A,B]'                          one table of the results.json of several runs
python evaluate.py --help                                   every setting
"""

from omegaconf import DictConfig

from upnet.running import command


@command("evaluate")
def main(config: DictConfig) -> None:
    """Compose, check, then whichever of the uses was asked for."""
    from upnet.config import check
    from upnet.settings import EvaluateSettings

    # Evaluation reads the test sets; what a data set is trained on is not looked at.
    config.data.train = None
    check(config, EvaluateSettings)
    from upnet.evaluating import compare_results, compare_study, export_checkpoint, score_baseline, score_checkpoints
    from upnet.upscaling import upscale

    with_checkpoint = {"input": upscale, "export": export_checkpoint}
    further = [word for word in with_checkpoint if config[word] is not None]
    uses = {
        "checkpoint": with_checkpoint[further[0]] if further else score_checkpoints,
        "study": compare_study,
        "results": compare_results,
        "baseline": score_baseline,
    }
    asked = [use for use in uses if config[use] is not None]
    if len(asked) != 1:
        raise ValueError(
            "give either checkpoint=PATH, to score it or upscale by it, study=FOLDER, results=PATH or baseline=NAME; "
            f"got {' and '.join(asked) or 'none of them'}"
        )
    if further and (asked != ["checkpoint"] or len(further) > 1):
        raise ValueError(
            f"{further[0]}={config[further[0]]} goes with checkpoint=PATH alone, not with {[*asked, *further][-1]}="
        )
    uses[asked[0]](config)


if __name__ == "__main__":
    main()
