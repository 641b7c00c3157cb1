"""Dataclasses of the settings of `upnet train` and `upnet evaluate` that belong to no component."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Lt, MinLen

from upnet.config import Component
from upnet.utils.device import Precision


@dataclass
class ProtocolSettings:
    """See upnet.metrics.EvaluationProtocol."""

    name: Literal["rgb8", "y-float"]
    channel: Literal["y", "rgb"]
    crop: Annotated[int, Ge(0)] | None
    grey: Literal["studio", "full"]


@dataclass
class StudySettings:
    """See configs/experiment/study.yaml, and upnet.study.design.Design."""

    name: str
    arms: dict[str, str | list[str]]
    reference: str
    seeds: list[Annotated[int, Ge(0), Lt(2**32)]]
    factors: dict[str, dict[str, str | list[str]]]
    match: Literal["none", "params", "macs", "support"]
    dry_run: bool
    accept_other_code: bool
    worker: int | str


@dataclass
class TrainSettings:
    """The keys of configs/train.yaml, which describes each of them. `check` returns an instance."""

    scale: Annotated[int, Ge(2)]
    steps: Annotated[int, Ge(1)]
    validations: Annotated[int, Ge(1)]
    seed: Annotated[int, Ge(0), Lt(2**32)]
    precision: Precision | Literal[16, 32]
    ema: Annotated[float, Ge(0), Lt(1)]
    channels_last: bool
    compile: bool
    graph: Literal["auto"] | bool
    keep_memory: bool
    max_pixels: Annotated[int, Ge(1)] | None
    ckpt: str | None
    study: StudySettings | None
    debug: bool
    run_dir: str
    model: Component
    data: Component
    loss: Component
    optimizer: Component
    scheduler: Component
    trainer: Component
    protocol: ProtocolSettings
    callbacks: dict[str, Component | None]
    logger: Component | list[Component] | dict[str, Component | None] | None


@dataclass
class EvaluateSettings:
    """The keys of configs/evaluate.yaml, which describes each of them. `check` returns an instance."""

    data: Component
    protocol: ProtocolSettings
    checkpoint: str | Annotated[list[str], MinLen(1)] | None
    study: str | None
    results: str | Annotated[list[str], MinLen(1)] | None
    baseline: Literal["nearest", "bilinear", "bicubic", "lanczos"] | None
    input: str | None
    output: str | None
    export: str | None
    tile: Literal["auto", "none"] | Annotated[int, Ge(16)]
    ensemble: Literal["none", "x8"]
    alpha: Literal["bicubic", "network"]
    max_pixels: Annotated[int, Ge(1)] | None
    perceptual: str | list[str] | None
    allow_mixed: bool
    weights: Literal["ema", "raw"]
    trust: str | list[str] | None
    save_images: bool
    device: str
    scale: Annotated[int, Ge(2)]
    debug: bool
    run_dir: str
