"""`upnet study diagnose`: diagnostics of a checkpoint beyond PSNR and SSIM."""

import argparse
from typing import TYPE_CHECKING, Any

from upnet.cli.arguments import add_command, add_evaluation_options, check_output_file
from upnet.cli.startup import OK, ctrl_c_raises
from upnet.utils.paths import expand_user

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    from upnet.checkpoint import Loaded
    from upnet.data import Store
    from upnet.metrics import EvaluationProtocol
    from upnet.study.diagnostics.run import Values

EXAMPLES = """\
examples:
  upnet study diagnose runs/RUN/checkpoints/last.ckpt
  upnet study diagnose last.ckpt --data Set5 --json diagnostics.json
  upnet study diagnose last.ckpt --only phase_variance step_overshoot step_rise
  upnet study diagnose last.ckpt --device cuda --size 2160x3840 --only latency_p50 peak_memory
"""


def add_parser(commands: "_SubParsersAction[Any]") -> None:
    """Add the command to those of `upnet study`; nothing heavy is imported before it runs."""
    parser = add_command(
        commands,
        "diagnose",
        run,
        summary="diagnostics of a checkpoint beyond PSNR and SSIM: checkerboards, spectra, edges, shifts, costs",
        description="Diagnostics of a network beyond PSNR and SSIM: checkerboard energy on constant inputs and in the "
        "error, spectrum,\nLR consistency, shift equivariance, edge response, memory and latency.",
        epilog=EXAMPLES,
    )
    parser.add_argument("checkpoint", type=expand_user, metavar="CHECKPOINT", help="a .ckpt file of a run")
    parser.add_argument(
        "--data", metavar="FOLDER", help="images to evaluate (default: four photographs of scikit-image)"
    )
    add_evaluation_options(
        parser, "rgb8", "evaluation protocol", json_help="write values, units, formulas and sources as JSON"
    )
    parser.add_argument("--device", default="auto", help="auto (a GPU if there is one), cpu, cuda, cuda:1, mps")
    parser.add_argument(
        "--size",
        type=_size,
        default=(720, 1280),
        metavar="HxW",
        help="size of the output for costs (default: 720x1280)",
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="compute these diagnostics only; names as in the JSON"
    )
    parser.add_argument(
        "--trust", nargs="+", default=[], metavar="MODULE", help="modules whose classes the checkpoint may build"
    )


def run(options: argparse.Namespace) -> int:
    """Print the table of diagnostics, and write the JSON file of --json.

    The JSON, schema 1: {"schema": 1, "checkpoint": path, "step": …, "scale": s, "data": {"name": …, "digest": hash of
    the pixels, "pictures": number of images, "lr_from": …}, "protocol": {…}, "size": [H, W], "device": …,
    "diagnostics": {NAME: {"value": number or nested lists, "heading": …, "unit": …, "better": "higher", "lower" or
    null, "formula": …, "source": …}}, "versions": {…}}. Infinity is the string "inf", and NaN is null.

    Raises UserError for a checkpoint, images, names or a device that can't be used.
    """
    check_output_file(options.json)
    import torch

    from upnet.checkpoint import load_network
    from upnet.data import build_store, open_sources
    from upnet.metrics import EvaluationProtocol
    from upnet.study.diagnostics.run import measure, print_table, select_diagnostics
    from upnet.utils.device import pick_device

    ctrl_c_raises()
    names = [diagnostic.name for diagnostic in select_diagnostics(options.only)]
    device = pick_device(options.device)
    loaded = load_network(options.checkpoint, trust=options.trust)
    net = loaded.net.to(device).to(memory_format=torch.channels_last)
    (source,) = open_sources(options.data, net.scale).values()
    store = build_store(source, net.scale, options.cache_dir)
    # Diagnostics crop `scale` pixels under every protocol; the crop is explicit, so that the JSON file states it.
    protocol = EvaluationProtocol(options.protocol, crop=net.scale)
    values = measure(net, store, protocol, options.size, names)

    height, width = options.size
    hardware = (
        torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    )
    notes = [
        f"Images: means over {len(store)} of {store.name}; protocol {protocol.name}, channel y, crop {net.scale}.",
        f"Costs: one output image of {width}×{height} pixels in float32 on {hardware}.",
    ]
    if device.type != "cuda":
        notes.append("Peak memory is estimated from the shapes of tensors on this device, not measured.")
    print_table(f"{options.checkpoint}, ×{net.scale}", values, notes)
    if options.json is not None:
        _write(options, loaded, store, protocol, hardware, values)
        print(f"Written to {options.json}")
    return OK


def _write(
    options: argparse.Namespace,
    loaded: "Loaded",
    store: "Store",
    protocol: "EvaluationProtocol",
    hardware: str,
    values: "Values",
) -> None:
    from upnet.evaluation.results import write_json
    from upnet.study.diagnostics.run import as_json
    from upnet.utils.provenance import versions

    content = {
        "schema": 1,
        "checkpoint": str(loaded.path),
        "step": loaded.step,
        "scale": loaded.net.scale,
        "data": {"name": store.name, "digest": store.digest, "pictures": len(store), "lr_from": store.lr_from},
        "protocol": protocol.describe(loaded.net.scale),
        "size": list(options.size),
        "device": hardware,
        "diagnostics": as_json(values),
        "versions": versions(),
    }
    write_json(content, options.json)


def _size(text: str) -> tuple[int, int]:
    """The height and the width of `HEIGHTxWIDTH`."""
    height, separator, width = text.lower().partition("x")
    if not (separator and height.isdecimal() and width.isdecimal() and min(int(height), int(width)) >= 32):
        raise argparse.ArgumentTypeError(f"a size is HEIGHTxWIDTH in pixels, 32 or more each; got {text!r}")
    return int(height), int(width)
