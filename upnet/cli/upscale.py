"""`upnet evaluate checkpoint=PATH input=PATH`: upscale an image, or the images of a folder."""

import signal
import sys

from omegaconf import DictConfig

from upnet.cli.app import reject_other_scale
from upnet.inference.files import Outcome, upscale_files
from upnet.inference.upscaler import load
from upnet.utils.allocator import INFERENCE_KERNELS, limit_onednn_cache
from upnet.utils.device import pick_device
from upnet.utils.errors import InterruptedRunError, RunError, UserError
from upnet.utils.paths import as_list, expand_user
from upnet.utils.printable import escape_unprintable


def upscale_images(config: DictConfig) -> None:
    """Upscale an image, or the images of a folder, with one checkpoint, and print where the outputs are.

    Raises UserError for settings that don't fit and for images that cannot be upscaled, RunError if the disk or the
    memory is exhausted, and InterruptedRunError after Ctrl-C. The images written before are kept.
    """
    limit_onednn_cache(INFERENCE_KERNELS)
    checkpoints = as_list(config.checkpoint)
    if len(checkpoints) != 1:
        raise UserError(f"images are upscaled with one checkpoint; got {len(checkpoints)}", setting="checkpoint")
    device, trust = pick_device(config.device), as_list(config.trust)
    upscaler = load(checkpoints[0], config.weights, trust, "cpu", config.tile, config.ensemble, config.alpha).to(device)
    reject_other_scale(config, upscaler.scale, checkpoints[0])
    output = None if config.output is None else expand_user(config.output)
    outcome = Outcome()
    try:
        upscale_files(upscaler, expand_user(config.input), output, config.max_pixels, outcome)
    except KeyboardInterrupt:
        message = f"Interrupted: {outcome.remaining} images were not upscaled. The written images are complete"
        raise InterruptedRunError(message, signal.SIGINT) from None
    finally:
        _print_outcome(outcome, upscaler.scale)
    if outcome.failed:
        count = len(outcome.failed)
        lines = [f"{count} image{'s' * (count > 1)} could not be upscaled:", *outcome.failed]
        lines += [f"{outcome.remaining} more were not processed"] if outcome.remaining else []
        raise RunError("\n".join(lines)) if outcome.run_failed else UserError("\n".join(lines))


def _print_outcome(outcome: Outcome, scale: int) -> None:
    """Print the written files to stdout, and the remarks on them to stderr."""
    for remark, images in outcome.remarks.items():
        more = f" and {len(images) - 1} more, each" if len(images) > 1 else ""
        print(f"{escape_unprintable(str(images[0]))}{more} {remark}", file=sys.stderr)
    if outcome.written:
        count, first = len(outcome.written), escape_unprintable(str(outcome.written[0]))
        print(f"{count} image{'s' * (count > 1)}, ×{scale}: {first}{' …' * (count > 1)}")
