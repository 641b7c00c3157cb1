"""Score checkpoints, upscale pictures, compare numbers that were taken before.

python evaluate.py checkpoint=PATH                          score on the built-in photographs
python evaluate.py checkpoint=PATH input=A.png output=B.png upscale a picture or a folder
python evaluate.py checkpoint=PATH export=A.safetensors     write its network to a file that holds numbers only
python evaluate.py baseline=bicubic                         score an interpolation
python evaluate.py study=FOLDER                             one table across operators
python evaluate.py 'results=[A,B]'                          one table of the results.json of several runs
python evaluate.py --help                                   every setting
"""

from typing import TYPE_CHECKING

from upnet.cli.program import command
from upnet.cli.startup import at_work

if TYPE_CHECKING:
    from omegaconf import DictConfig

USES = ("checkpoint", "study", "results", "baseline")


@command("evaluate")
def main(config: "DictConfig") -> None:
    """Compose, check, then whichever of the uses was asked for."""
    from upnet.cli.app import given_settings
    from upnet.cli.dispatch import asked_use

    use = asked_use(config, USES, given_settings())
    # torch is imported from here on.
    from upnet.config import check
    from upnet.config.schema import EvaluateSettings

    # Evaluation reads the test sets; what a data set is trained on is not looked at.
    config.data.train = None
    check(config, EvaluateSettings)
    from upnet.cli.evaluate import compare_results, compare_study, export_checkpoint, score_baseline, score_checkpoints
    from upnet.inference.files import upscale

    at_work()
    further = {"input": upscale, "export": export_checkpoint}
    scored = next((further[word] for word in further if config[word] is not None), score_checkpoints)
    {"checkpoint": scored, "study": compare_study, "results": compare_results, "baseline": score_baseline}[use](config)


if __name__ == "__main__":
    main()
