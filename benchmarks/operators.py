"""Time of every upsampling operator, relative to torch's own operation and to a copy of the same number of bytes.

    python benchmarks/operators.py [--device cuda] [--json FILE]

Each row is one operator, (8, 64, 96, 96) -> (8, 64, 192, 192), forward or forward and backward, in one dtype and memory
format. A GPU has a batch of 64 and float32 without TF32. The columns are:

ours       the operator
torch      torch's own operation: nn.Upsample, nn.MaxUnpool2d, nn.ConvTranspose2d, a convolution before nn.PixelShuffle,
           or a convolution after nn.Upsample
sub-pixel  a convolution before nn.PixelShuffle with the support of the transposed convolution
floor      a copy of as many bytes as the operator has to read and write

All functions of a row alternate in short blocks, so that other load slows all of them equally. A time is the
median over the blocks in ms; a ratio is the median over the blocks of the operator's time divided by the other time.
"""

import argparse
import copy
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatch
from functools import partial
from itertools import product
from pathlib import Path

import hydra
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from torch import Tensor, nn

from upnet.site import Site
from upnet.upsample import Transposed, Upsampler
from upnet.utils.allocator import retain_malloc_blocks
from upnet.utils.device import no_tf32

FOLDER = Path(__file__).parents[1] / "configs" / "model" / "upsampler"
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}
KERNELS = ((2, 2), (2, 3), (2, 4), (3, 6), (3, 9), (4, 8))
"""Scale and kernel size of transposed convolutions other than the default one."""

Call = Callable[[], object]


@dataclass(frozen=True)
class Setting:
    """The input of all operators, (batch, channels, size, size), and the measurement.

    seconds: duration of a block.
    blocks:  number of blocks per function.
    """

    device: torch.device
    batch: int = 8
    channels: int = 64
    size: int = 96
    seconds: float = 0.05
    blocks: int = 9

    @classmethod
    def of(cls, device: torch.device, smoke: bool) -> "Setting":
        """The batch that fills a device; tiny sizes for a smoke test."""
        if smoke:
            return cls(device, 2, 8, 6, seconds=1e-4, blocks=2)
        return cls(device, 64, seconds=0.01) if device.type == "cuda" else cls(device)


@dataclass(frozen=True)
class Case:
    """One operator, as a factory of channels and scale."""

    name: str
    factory: Callable[..., Upsampler]
    scale: int = 2
    out_channels: int | None = None


@dataclass
class Row:
    """One row of the table. type, layout: keys of TYPES and LAYOUTS.

    milliseconds: by column.
    ratios:       time of the operator / time of the column, for all other columns.
    """

    operator: str
    type: str
    layout: str
    backward: bool
    milliseconds: dict[str, float]
    ratios: dict[str, float]


class WithArguments(nn.Module):
    """A module with fixed further arguments: x -> module(x, *arguments)."""

    def __init__(self, module: nn.Module, *arguments: object) -> None:
        super().__init__()
        self.module, self.arguments = module, arguments

    def forward(self, x: Tensor) -> Tensor:
        """module(x, *arguments)."""
        return self.module(x, *self.arguments)


def cases() -> list[Case]:
    """Every operator with its yaml's defaults, transposed convolutions with other kernels, and tails to 3 channels."""
    yamls = [Case(path.stem, hydra.utils.instantiate(OmegaConf.load(path))) for path in sorted(FOLDER.glob("*.yaml"))]
    kernels = [Case(f"transposed k{k} s{s}", partial(Transposed, kernel_size=k), s) for s, k in KERNELS]
    tails = [
        Case(f"{case.name} to 3", case.factory, out_channels=3)
        for case in yamls
        if case.name in ("transposed", "pixel_shuffle", "resize_conv")
    ]
    return [*yamls, *kernels, *tails]


def torch_equivalents(stem: str, operator: Upsampler, site: Site) -> dict[str, nn.Module]:
    """torch's own modules for an operator, with the operator's weights, by column; empty if torch has none."""
    scale, conv = int(operator.scale), getattr(operator, "conv", nn.Identity())
    match stem:
        case "nearest" | "bilinear" | "bicubic":
            return {"torch": nn.Upsample(scale_factor=scale, mode=stem)}
        case "max_unpool":
            return {"torch": WithArguments(nn.MaxUnpool2d(scale), site.indices, site.size)}
        case "pixel_shuffle":
            return {"torch": nn.Sequential(conv, nn.PixelShuffle(scale))}
        case "resize_conv":
            return {"torch": nn.Sequential(nn.Upsample(scale_factor=scale, mode="nearest"), conv)}
        case "decomposed_transposed":
            return {"torch": nn.Sequential(*map(as_torch_layer, convolutions(operator)))}
        case "transposed":
            (conv,) = convolutions(operator)
            modules: dict[str, nn.Module] = {"torch": as_torch_layer(conv)}
            taps, remainder = divmod(conv.kernel_size[0], scale)
            if not remainder and taps % 2:
                phases = nn.Conv2d(conv.in_channels, conv.out_channels * scale**2, taps, padding=taps // 2)
                modules["sub-pixel"] = nn.Sequential(phases, nn.PixelShuffle(scale))
            return modules
    return {}


def convolutions(operator: Upsampler) -> list[nn.ConvTranspose2d]:
    """The transposed convolutions of an operator, in order."""
    return [module for module in operator.children() if isinstance(module, nn.ConvTranspose2d)]


def as_torch_layer(conv: nn.ConvTranspose2d) -> nn.ConvTranspose2d:
    """The same parameters in an nn.ConvTranspose2d, without upnet's forward()."""
    layer = copy.copy(conv)
    layer.__class__ = nn.ConvTranspose2d
    return layer


def bytes_moved(x: Tensor, y: Tensor, site: Site, operator: Upsampler, backward: bool) -> int:
    """The bytes that have to be read or written once: input, pooling indices, weights, output and gradients."""
    weights = sum(p.numel() * p.element_size() for p in operator.parameters())
    indices = site.indices.nbytes if "indices" in operator.requires and site.indices is not None else 0
    forward = x.nbytes + y.nbytes + weights + indices
    # The gradient of the weights reads the input again.
    return forward if not backward else 2 * forward + (x.nbytes if weights else 0)


def block(call: Call, repeats: int, device: torch.device) -> float:
    """Milliseconds per call, as the mean over consecutive calls."""
    if device.type == "cuda":
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize(device)
        start.record()
        for _ in range(repeats):
            call()
        end.record()
        torch.cuda.synchronize(device)
        return start.elapsed_time(end) / repeats
    begin = time.perf_counter()
    for _ in range(repeats):
        call()
    return 1000 * (time.perf_counter() - begin) / repeats


def measure(calls: dict[str, Call], setting: Setting) -> dict[str, list[float]]:
    """Milliseconds of each function in each block. The functions alternate; two calls of each are a warm-up."""
    repeats = {}
    for name, call in calls.items():
        block(call, 1, setting.device)
        repeats[name] = max(1, round(1000 * setting.seconds / max(block(call, 1, setting.device), 1e-3)))
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(setting.blocks):
        for name, call in calls.items():
            times[name].append(block(call, repeats[name], setting.device))
    return times


def make_call(module: nn.Module, x: Tensor, gradient: Tensor | None) -> Call:
    """A function without arguments that runs forward; given the gradient of the output, also backward."""
    if gradient is None:
        return torch.no_grad()(partial(module, x))
    leaves = [x, *module.parameters()]
    return lambda: torch.autograd.grad(module(x), leaves, gradient)


def rows(case: Case, setting: Setting) -> Iterator[Row]:
    """The rows of one operator: every dtype and memory format, forward alone and with backward."""
    extra = {} if case.out_channels is None else {"out_channels": case.out_channels}
    side, device = setting.size * case.scale, setting.device
    for (kind, dtype), (layout, memory_format) in product(TYPES.items(), LAYOUTS.items()):
        torch.manual_seed(0)
        operator = case.factory(channels=setting.channels, scale=case.scale, **extra)
        skip = torch.randn(setting.batch, setting.channels, side, side, device=device, dtype=dtype)
        skip = skip.to(memory_format=memory_format)
        x, indices = F.max_pool2d(skip, case.scale, return_indices=True)
        site = Site((side, side), indices=indices, skip=skip)
        modules = {
            "ours": WithArguments(operator, site),
            **torch_equivalents(case.name.split(" ")[0], operator, site),
        }
        for module in modules.values():
            module.to(device, dtype).to(memory_format=memory_format)
        gradient = torch.randn_like(modules["ours"](x)).to(memory_format=memory_format)
        x.requires_grad_()
        for backward in (False, True):
            # A copy reads and writes every byte, so that a source of half the size moves as many bytes.
            source = torch.empty(
                max(1, bytes_moved(x, gradient, site, operator, backward) // 2), dtype=torch.uint8, device=device
            )
            calls = {name: make_call(module, x, gradient if backward else None) for name, module in modules.items()}
            calls["floor"] = partial(torch.empty_like(source).copy_, source)
            times = measure(calls, setting)
            yield Row(
                case.name,
                kind,
                layout,
                backward,
                {name: statistics.median(values) for name, values in times.items()},
                {
                    name: statistics.median(ours / other for ours, other in zip(times["ours"], values, strict=True))
                    for name, values in times.items()
                    if name != "ours"
                },
            )


def line(row: Row) -> str:
    """A row of the printed table."""

    def cell(values: dict[str, float], name: str, form: str) -> str:
        return format(values[name], form) if name in values else "—".rjust(len(format(0.0, form)))

    times = " ".join(cell(row.milliseconds, name, "9.2f") for name in ("ours", "torch", "sub-pixel", "floor"))
    ratios = " ".join(cell(row.ratios, name, "9.2f") for name in ("torch", "sub-pixel", "floor"))
    variant = f"{row.type} {row.layout:13} {'with backward' if row.backward else 'forward':13}"
    return f"{row.operator:18} {variant} {times}   {ratios}"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="measure only these operators; * matches any text")
    parser.add_argument("--threads", type=int, help="number of torch's threads; default: torch's choice")
    parser.add_argument("--blocks", type=int, help="number of blocks of which the median is taken")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to check that everything runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to this file")
    parser.add_argument(
        "--keep-memory", action=argparse.BooleanOptionalAction, default=True,
        help="upnet's allocator settings, which keep large blocks of freed memory",
    )  # fmt: skip
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table and write the file."""
    options = parse(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("--device cuda: torch finds no NVIDIA GPU; use --device cpu")
    if options.threads:
        torch.set_num_threads(options.threads)
    keeps_memory = options.keep_memory and retain_malloc_blocks()
    device = torch.device(options.device)
    setting = Setting.of(device, options.smoke)
    if options.blocks:
        setting = replace(setting, blocks=options.blocks)
    machine = torch.cuda.get_device_name(device) if options.device == "cuda" else f"{torch.get_num_threads()} threads"
    memory = "kept" if keeps_memory else "returned to the operating system"
    print(f"{platform.machine()}, {machine}, torch {torch.__version__}, freed large blocks are {memory}")
    print(f"({setting.batch}, {setting.channels}, {setting.size}, {setting.size}), medians of {setting.blocks} blocks")
    print(f"{'':51} milliseconds {'':29} ours /")
    print(
        f"{'':47} {'ours':>9} {'torch':>9} {'sub-pixel':>9} {'floor':>9}   {'torch':>9} {'sub-pixel':>9} {'floor':>9}"
    )
    conditions = {
        "machine": machine,
        "torch": torch.__version__,
        "large_blocks_kept": keeps_memory,
        "batch": setting.batch,
        "channels": setting.channels,
        "size": setting.size,
        "blocks": setting.blocks,
    }
    measured = []
    for case in cases():
        if options.only and not any(fnmatch(case.name, name) for name in options.only):
            continue
        with no_tf32():
            for row in rows(case, setting):
                measured.append(asdict(row))
                print(line(row), flush=True)
        if options.json:
            options.json.write_text(json.dumps(conditions | {"rows": measured}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
