"""`upnet study oracle`: the least-squares optimum of every linear upsampler."""

import argparse
from typing import TYPE_CHECKING, Any

from upnet.cli.arguments import add_command, add_evaluation_options, check_output_file, integer_from
from upnet.cli.startup import OK, ctrl_c_raises
from upnet.utils.paths import expand_user

if TYPE_CHECKING:
    from argparse import _SubParsersAction

SCALES = range(2, 9)

EXAMPLES = """\
examples:
  upnet study oracle
  upnet study oracle --train BSDS399/HR --test Set5 Set14 --markdown oracle.md
  upnet study oracle --train BSDS399/HR --test Set5 --scale 3 --images 100 --protocol y-float
"""


def add_parser(commands: "_SubParsersAction[Any]") -> None:
    """Add the command to those of `upnet study`; nothing heavy is imported before it runs."""
    parser = add_command(
        commands,
        "oracle",
        run,
        summary="the least-squares optimum of every linear upsampler, without training",
        description="Solve for the least-squares optimum of every linear upsampler on one set of images and evaluate "
        "it on another.\nNothing is trained. The result shows how much PSNR a larger support gains.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "--train", nargs="+", metavar="FOLDER", help="images to fit (default: 20 synthetic dead leaves images)"
    )
    parser.add_argument(
        "--test", nargs="+", metavar="FOLDER", help="images to evaluate (default: four photographs of scikit-image)"
    )
    parser.add_argument(
        "--scale",
        nargs="+",
        type=int,
        choices=SCALES,
        default=[2, 3, 4],
        metavar="S",
        help=f"integer scales from {SCALES[0]} to {SCALES[-1]} (default: 2 3 4)",
    )
    parser.add_argument(
        "--own-borders",
        action="store_true",
        help="let each operator pad the test images (convolutions pad zeros) instead of replicating the border pixels",
    )
    parser.add_argument(
        "--images",
        type=integer_from(1, "the number of images"),
        metavar="N",
        help="fit N images, spread evenly over the set",
    )
    add_evaluation_options(
        parser,
        "y-float",
        "y-float fits and upsamples the Y plane; rgb8 fits Y and upsamples R, G and B with it",
        json_help="write all values, per image, as JSON",
    )
    parser.add_argument("--markdown", type=expand_user, metavar="FILE", help="write the tables as Markdown")


def run(options: argparse.Namespace) -> int:
    """Print the tables, and write the files of --json and --markdown.

    The JSON, schema 1: {"schema": 1, "versions": {…}, "scales": {SCALE: {"protocol": {…}, "borders": "repeated" or
    "own", "trained_on": number of images, "train" and "test": {NAME: {"digest": hash of the pixels, "pictures": number
    of images, "lr_from": …}}, "structures": [{"structure": name, "parameters": …, "taps": [fewest, most],
    "train_psnr": dB, "tests": {NAME: {"psnr": mean dB, "ssim": mean, "images": {FILE: {"psnr": …, "ssim": …}}}}}]}}}.
    Under y-float, LR is computed from HR, whatever `lr_from` is. An infinite PSNR is the string "inf".

    Raises UserError for folders that cannot be read or written, and for images that are too small.
    """
    for path in (options.json, options.markdown):
        check_output_file(path)
    from upnet.evaluation.results import write_json
    from upnet.metrics import EvaluationProtocol
    from upnet.study.oracle.experiment import OracleSettings, run_oracle
    from upnet.study.oracle.tables import markdown, print_tables
    from upnet.utils.atomic_io import atomic_write
    from upnet.utils.provenance import versions

    ctrl_c_raises()
    settings = OracleSettings(
        protocol=EvaluationProtocol(options.protocol),
        train=options.train,
        test=options.test,
        max_images=options.images,
        cache=options.cache_dir,
        borders="own" if options.own_borders else "repeated",
    )
    content = {
        "schema": 1,
        "scales": {str(scale): run_oracle(settings, scale) for scale in sorted(set(options.scale))},
        "versions": versions(),
    }
    print_tables(content)
    if options.json is not None:
        write_json(content, options.json)
        print(f"Written to {options.json}")
    if options.markdown is not None:
        atomic_write(markdown(content), options.markdown)
        print(f"Written to {options.markdown}")
    return OK
