"""`upnet study oracle`: the least-squares optimum of every linear upsampler."""

import argparse
from typing import TYPE_CHECKING, Any

from upnet.cli.arguments import check_output_file, integer_from
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
    parser = commands.add_parser(
        "oracle",
        help="the least-squares optimum of every linear upsampler, without training",
        description="Solve for the least-squares optimum of every linear upsampler on one set of images and evaluate "
        "it on another.\nNothing is trained. The result shows what the support of an operator is worth.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
        "--protocol",
        choices=("rgb8", "y-float"),
        default="y-float",
        help="y-float fits and upsamples the Y plane; rgb8 fits Y and upsamples R, G and B with it (default: y-float)",
    )
    parser.add_argument(
        "--own-borders",
        action="store_true",
        help="let each operator pad the test images its own way (convolutions pad zeros) instead of replicating the "
        "border pixels",
    )
    parser.add_argument(
        "--images",
        type=integer_from(1, "the number of images"),
        metavar="N",
        help="fit N images, spread evenly over the set",
    )
    parser.add_argument("--cache-dir", type=expand_user, metavar="FOLDER", help="folder of the cache of decoded images")
    parser.add_argument("--json", type=expand_user, metavar="FILE", help="write everything, per image, as JSON")
    parser.add_argument("--markdown", type=expand_user, metavar="FILE", help="write the tables as Markdown")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the tables, and write the files that were asked for.

    The JSON, schema 1: {"schema": 1, "versions": {…}, "scales": {SCALE: {"protocol": {…}, "borders": …, "trained_on":
    pictures, "train" and "test": {NAME: {"digest": hash of its pixels, "pictures": how many, "lr_from": …}},
    "structures": [{"structure": name, "parameters": …, "taps": [fewest, most], "train_psnr": dB, "tests": {NAME:
    {"psnr": mean dB, "ssim": mean, "images": {FILE: {"psnr": …, "ssim": …}}}}}]}}}. Where the protocol is y-float, LR
    is made anew from HR, wherever it came from. An infinite PSNR is the string "inf".

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
    question = OracleSettings(
        EvaluationProtocol(options.protocol),
        options.train,
        options.test,
        options.images,
        options.cache_dir,
        "own" if options.own_borders else "repeated",
    )
    scales = sorted(set(options.scale))
    content = {
        "schema": 1,
        "scales": {str(scale): run_oracle(question, scale) for scale in scales},
        "versions": versions(),
    }
    print_tables(content)
    if options.json is not None:
        write_json(content, options.json)
    if options.markdown is not None:
        atomic_write(markdown(content), options.markdown)
    for path in (options.json, options.markdown):
        if path is not None:
            print(f"Written to {path}")
    return OK
