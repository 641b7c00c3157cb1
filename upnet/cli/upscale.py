"""The use of `upnet evaluate` that upscales an image, or the images of a folder, by a checkpoint."""

import signal
import sys

from omegaconf import DictConfig

from upnet.cli.app import refuse_other_scale
from upnet.inference.files import Outcome, UpscalingError, upscale_files
from upnet.inference.upscaler import load
from upnet.utils.allocator import INFERENCE_KERNELS, limit_onednn_cache
from upnet.utils.device import pick_device
from upnet.utils.errors import InterruptedRunError, UserError
from upnet.utils.paths import as_list, expand_user
from upnet.utils.printable import escape_unprintable


def upscale_images(config: DictConfig) -> None:
    """Upscale an image, or the images of a folder, by one checkpoint, and print where the outputs are.

    Raises UserError for settings that don't fit, UpscalingError if some images failed, and InterruptedRunError after
    Ctrl-C; the images written by then are kept.
    """
    limit_onednn_cache(INFERENCE_KERNELS)
    checkpoints = as_list(config.checkpoint)
    if len(checkpoints) != 1:
        raise UserError(f"images are upscaled by one checkpoint; got {len(checkpoints)}", setting="checkpoint")
    device, trust = pick_device(config.device), as_list(config.trust)
    upscaler = load(checkpoints[0], config.weights, trust, "cpu", config.tile, config.ensemble, config.alpha).to(device)
    refuse_other_scale(config, upscaler.scale, checkpoints[0])
    output = None if config.output is None else expand_user(config.output)
    outcome = Outcome()
    try:
        upscale_files(upscaler, expand_user(config.input), output, config.max_pixels, outcome)
    except KeyboardInterrupt:
        message = f"Interrupted: {outcome.remaining} images were not upscaled. Those that are written are complete"
        raise InterruptedRunError(message, signal.SIGINT) from None
    finally:
        _print_outcome(outcome, upscaler.scale)
    if outcome.failed:
        remaining = f"\n{outcome.remaining} more were not tried" if outcome.remaining else ""
        raise UpscalingError(f"{len(outcome.failed)} could not be upscaled:\n" + "\n".join(outcome.failed) + remaining)


def _print_outcome(outcome: Outcome, scale: int) -> None:
    """Print the written files to stdout, and what the output formats do not keep to stderr."""
    for remark, images in outcome.remarks.items():
        more = f" and {len(images) - 1} more, each" if len(images) > 1 else ""
        print(f"{escape_unprintable(str(images[0]))}{more} {remark}", file=sys.stderr)
    if outcome.written:
        count, first = len(outcome.written), escape_unprintable(str(outcome.written[0]))
        print(f"{count} image{'s' * (count > 1)}, ×{scale}: {first}{' …' * (count > 1)}")
