"""Speed of every upsampling operator beside torch's own and beside the bytes it has to move.

    python benchmarks/operators.py [--device cuda] [--json FILE]

Every row is one operator on (8, 64, 96, 96) -> 192 × 192, forward alone or with backward, in one type and one memory
format; on a GPU on a batch of 64, which fills it, and with fp32 in full (no TF32). `torch` is what torch offers for the
same: nn.Upsample, nn.MaxUnpool2d, nn.ConvTranspose2d, a convolution before nn.PixelShuffle or behind nn.Upsample.
`sub-pixel` is a convolution before nn.PixelShuffle with the support of the transposed one. `floor` is the time in which
a plain copy moves the bytes that the operator has to read and write.

All candidates of a row take turns in short blocks, so that a disturbance hits them all. A time is the median over the
blocks, and a ratio is the median of the blocks' own ratios, ours to the other's.
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
    """What all operators are measured on: (batch, channels, size, size), enlarged by 2 where a case says nothing."""

    device: torch.device
    batch: int = 8
    channels: int = 64
    size: int = 96
    seconds: float = 0.05
    blocks: int = 9

    @classmethod
    def of(cls, device: torch.device, smoke: bool) -> "Setting":
        """What fills the device, and no more than it takes; tiny for a smoke test."""
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
    """Milliseconds of one operator in one way and of what stands beside it, and the ratios of ours to those."""

    operator: str
    type: str
    layout: str
    backward: bool
    milliseconds: dict[str, float]
    ratios: dict[str, float]


class At(nn.Module):
    """A module with everything but its input filled in: x -> module(x, *rest)."""

    def __init__(self, module: nn.Module, *rest: object) -> None:
        super().__init__()
        self.module, self.rest = module, rest

    def forward(self, x: Tensor) -> Tensor:
        """What the module makes of x and the rest."""
        return self.module(x, *self.rest)


def cases() -> list[Case]:
    """Every yaml of the folder as it is, transposed convolutions of other kernels, and tails straight to a picture."""
    yamls = [Case(path.stem, hydra.utils.instantiate(OmegaConf.load(path))) for path in sorted(FOLDER.glob("*.yaml"))]
    kernels = [Case(f"transposed k{k} s{s}", partial(Transposed, kernel_size=k), s) for s, k in KERNELS]
    tails = [
        Case(f"{case.name} to 3", case.factory, out_channels=3)
        for case in yamls
        if case.name in ("transposed", "pixel_shuffle", "resize_conv")
    ]
    return [*yamls, *kernels, *tails]


def torchs_own(stem: str, operator: Upsampler, site: Site) -> dict[str, nn.Module]:
    """What torch itself offers for an operator, on the operator's own weights; empty where it has nothing."""
    scale, conv = int(operator.scale), getattr(operator, "conv", nn.Identity())
    match stem:
        case "nearest" | "bilinear" | "bicubic":
            return {"torch": nn.Upsample(scale_factor=scale, mode=stem)}
        case "max_unpool":
            return {"torch": At(nn.MaxUnpool2d(scale), site.indices, site.size)}
        case "pixel_shuffle":
            return {"torch": nn.Sequential(conv, nn.PixelShuffle(scale))}
        case "resize_conv":
            return {"torch": nn.Sequential(nn.Upsample(scale_factor=scale, mode="nearest"), conv)}
        case "decomposed_transposed":
            return {"torch": nn.Sequential(*map(plain, convolutions(operator)))}
        case "transposed":
            (conv,) = convolutions(operator)
            own: dict[str, nn.Module] = {"torch": plain(conv)}
            taps, uneven = divmod(conv.kernel_size[0], scale)
            if not uneven and taps % 2:
                phases = nn.Conv2d(conv.in_channels, conv.out_channels * scale**2, taps, padding=taps // 2)
                own["sub-pixel"] = nn.Sequential(phases, nn.PixelShuffle(scale))
            return own
    return {}


def convolutions(operator: Upsampler) -> list[nn.ConvTranspose2d]:
    """The transposed convolutions of an operator, in order."""
    return [part for part in operator.children() if isinstance(part, nn.ConvTranspose2d)]


def plain(conv: nn.ConvTranspose2d) -> nn.ConvTranspose2d:
    """torch's own layer with the very parameters of a transposed convolution."""
    layer = copy.copy(conv)
    layer.__class__ = nn.ConvTranspose2d
    return layer


def bytes_moved(x: Tensor, y: Tensor, site: Site, operator: Upsampler, backward: bool) -> int:
    """The bytes of everything that has to be read or written once: input, positions, weights, output, gradients."""
    weights = sum(p.numel() * p.element_size() for p in operator.parameters())
    positions = site.indices.nbytes if "indices" in operator.requires and site.indices is not None else 0
    forward = x.nbytes + y.nbytes + weights + positions
    # The gradient of weights is made of the input once more.
    return forward if not backward else 2 * forward + (x.nbytes if weights else 0)


def block(call: Call, repeats: int, device: torch.device) -> float:
    """Milliseconds of one call, the mean of a few in a row."""
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


def measure(candidates: dict[str, Call], setting: Setting) -> dict[str, list[float]]:
    """Milliseconds of each candidate in each block, all in turns after two calls to warm up."""
    repeats = {}
    for name, call in candidates.items():
        block(call, 1, setting.device)
        repeats[name] = max(1, round(1000 * setting.seconds / max(block(call, 1, setting.device), 1e-3)))
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(setting.blocks):
        for name, call in candidates.items():
            times[name].append(block(call, repeats[name], setting.device))
    return times


def ready(module: nn.Module, x: Tensor, gradient: Tensor | None) -> Call:
    """A call of a module; with the gradient of its output, also the gradients of its input and its weights."""
    if gradient is None:
        return torch.no_grad()(partial(module, x))
    leaves = [x, *module.parameters()]
    return lambda: torch.autograd.grad(module(x), leaves, gradient)


def rows(case: Case, setting: Setting) -> Iterator[Row]:
    """One operator in every type and memory format, forward and with backward."""
    extra = {} if case.out_channels is None else {"out_channels": case.out_channels}
    side, device = setting.size * case.scale, setting.device
    for (kind, dtype), (layout, memory_format) in product(TYPES.items(), LAYOUTS.items()):
        torch.manual_seed(0)
        operator = case.factory(channels=setting.channels, scale=case.scale, **extra)
        picture = torch.randn(setting.batch, setting.channels, side, side, device=device, dtype=dtype)
        picture = picture.to(memory_format=memory_format)
        x, indices = F.max_pool2d(picture, case.scale, return_indices=True)
        site = Site((side, side), indices=indices, skip=picture)
        modules = {"ours": At(operator, site), **torchs_own(case.name.split(" ")[0], operator, site)}
        for module in modules.values():
            module.to(device, dtype).to(memory_format=memory_format)
        gradient = torch.randn_like(modules["ours"](x)).to(memory_format=memory_format)
        x.requires_grad_()
        for backward in (False, True):
            half = torch.empty(
                max(1, bytes_moved(x, gradient, site, operator, backward) // 2), dtype=torch.uint8, device=device
            )
            calls = {name: ready(module, x, gradient if backward else None) for name, module in modules.items()}
            calls["floor"] = partial(torch.empty_like(half).copy_, half)
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
    way = f"{row.type} {row.layout:13} {'with backward' if row.backward else 'forward':13}"
    return f"{row.operator:18} {way} {times}   {ratios}"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Time every upsampling operator beside torch's own.")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these rows alone; * stands for anything")
    parser.add_argument("--threads", type=int, help="torch's threads; its own choice if not given")
    parser.add_argument("--blocks", type=int, help="how often the candidates of a row take turns")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to see that everything runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the rows as well")
    parser.add_argument("--keep-memory", action=argparse.BooleanOptionalAction, default=True, help="keep large blocks")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints a table and writes the file."""
    given = parse(arguments)
    if given.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("--device cuda: torch sees no NVIDIA GPU here; take --device cpu")
    if given.threads:
        torch.set_num_threads(given.threads)
    kept = given.keep_memory and retain_malloc_blocks()
    device = torch.device(given.device)
    setting = Setting.of(device, given.smoke)
    if given.blocks:
        setting = replace(setting, blocks=given.blocks)
    machine = torch.cuda.get_device_name(device) if given.device == "cuda" else f"{torch.get_num_threads()} threads"
    print(
        f"{platform.machine()}, {machine}, torch {torch.__version__}, large blocks {'kept' if kept else 'given back'}"
    )
    print(f"({setting.batch}, {setting.channels}, {setting.size}, {setting.size}), medians of {setting.blocks} blocks")
    print(f"{'':51} milliseconds {'':29} ours to")
    print(
        f"{'':47} {'ours':>9} {'torch':>9} {'sub-pixel':>9} {'floor':>9}   {'torch':>9} {'sub-pixel':>9} {'floor':>9}"
    )
    facts = {"machine": machine, "torch": torch.__version__, "large_blocks_kept": kept, "batch": setting.batch}
    facts |= {"channels": setting.channels, "size": setting.size, "blocks": setting.blocks}
    measured = []
    for case in cases():
        if given.only and not any(fnmatch(case.name, name) for name in given.only):
            continue
        with no_tf32():
            for row in rows(case, setting):
                measured.append(asdict(row))
                print(line(row), flush=True)
        if given.json:
            given.json.write_text(json.dumps(facts | {"rows": measured}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
