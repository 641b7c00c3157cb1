"""The choice of device and precision, with other hardware simulated."""

import pytest
import torch

from upnet.utils.device import auto_device, float64_device, lightning_precision, pick_device
from upnet.utils.errors import UserError


@pytest.fixture
def hardware(monkeypatch: pytest.MonkeyPatch):
    """hardware(cuda=…, mps=…, bf16=…): set the hardware that torch reports."""

    def report(cuda: bool = False, mps: bool = False, bf16: bool = False) -> None:
        monkeypatch.setattr("torch.cuda.is_available", lambda: cuda)
        monkeypatch.setattr("torch.backends.mps.is_available", lambda: mps)
        monkeypatch.setattr("upnet.utils.device.gpu_has_bf16", lambda: bf16)
        monkeypatch.setattr("upnet.utils.device.cpu_has_bf16", lambda: bf16)

    return report


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_prefers_cuda_then_mps_then_the_cpu(hardware, cuda: bool, mps: bool, expected: str) -> None:
    hardware(cuda=cuda, mps=mps)
    assert auto_device() == expected
    assert pick_device("auto") == torch.device(expected)


@pytest.mark.parametrize(
    ("accelerator", "bf16", "expected"),
    [
        ("cpu", True, "bf16-mixed"),
        ("cpu", False, "32-true"),
        ("gpu", True, "bf16-mixed"),
        ("cuda", False, "32-true"),
        ("mps", True, "32-true"),
    ],
)
def test_auto_precision_is_bf16_only_where_the_hardware_has_it(
    hardware, accelerator: str, bf16: bool, expected: str
) -> None:
    hardware(bf16=bf16)
    assert lightning_precision("auto", accelerator) == expected


@pytest.mark.parametrize("accelerator", ["cpu", "mps"])
def test_float16_needs_cuda(accelerator: str) -> None:
    with pytest.raises(UserError) as caught:
        lightning_precision("16", accelerator)
    assert (caught.value.setting, caught.value.value) == ("precision", "16")
    assert lightning_precision("16", "gpu") == "16-mixed"


def test_missing_device_is_rejected_with_the_available_ones(hardware) -> None:
    hardware()
    with pytest.raises(UserError) as caught:
        pick_device("cuda:99")
    assert (caught.value.setting, caught.value.value, caught.value.allowed) == ("device", "cuda:99", "auto or cpu")


def test_unknown_device_is_rejected_with_the_allowed_ones() -> None:
    with pytest.raises(UserError) as caught:
        pick_device("tpu")
    assert (caught.value.setting, caught.value.value) == ("device", "tpu")
    assert caught.value.allowed == "auto, cpu, cuda, cuda:N or mps"


def test_float64_is_computed_on_the_cpu_for_mps() -> None:
    assert float64_device(torch.device("mps")) == torch.device("cpu")
    assert float64_device(torch.device("cuda", 1)) == torch.device("cuda", 1)
