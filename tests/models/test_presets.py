"""create_model(): every preset with every operator that fits it, changes of settings, and errors."""

import subprocess
import sys

import pytest
import torch
from support import ROOT, Compose

import upnet
from upnet.config import build
from upnet.models import EncoderDecoder
from upnet.upsample import CARAFE, MaxUnpool, Transposed
from upnet.utils.errors import UserError


@pytest.mark.parametrize("name", upnet.list_models())
def test_a_preset_is_the_network_of_the_command_line(name: str, compose: Compose) -> None:
    net, trained = upnet.create_model(name, scale=3), build(compose(f"model={name}", "scale=3").model)
    assert isinstance(net, EncoderDecoder)
    shapes = [{key: value.shape for key, value in model.state_dict().items()} for model in (net, trained)]
    assert shapes[0] == shapes[1]
    x = torch.rand(1, net.channels, 12, 14)
    assert net(x).shape == (1, net.channels, 36, 42)


def test_changes_reach_the_components() -> None:
    net = upnet.create_model("unet", upsampler="carafe", encoder={"width": 8, "depth": 1}, skip=False)
    assert net.encoder.widths[0] == 8
    assert sum(isinstance(module, CARAFE) for module in net.modules()) == 1
    assert upnet.create_model("unet", block="residual", encoder="strided_conv").encoder.depth == 2


def test_a_list_names_one_operator_per_location() -> None:
    net = upnet.create_model("unet", upsampler=["max_unpool", "transposed"])
    assert [type(module) for module in net.modules() if isinstance(module, MaxUnpool | Transposed)] == [
        MaxUnpool,
        Transposed,
    ]


@pytest.mark.parametrize(
    ("call", "setting", "cure"),
    [
        (lambda: upnet.create_model("unett"), "model", "Did you mean unet?"),
        (lambda: upnet.create_model(upsampler="nearset"), "model/upsampler", "Did you mean nearest?"),
        (lambda: upnet.create_model(encoder="resnett"), "model/encoder", "Did you mean resnet?"),
    ],
)
def test_an_unknown_name_gets_a_suggestion(call, setting: str, cure: str) -> None:
    with pytest.raises(UserError) as caught:
        call()
    assert (caught.value.setting, caught.value.cure) == (setting, cure)


def test_unknown_settings_are_rejected() -> None:
    with pytest.raises(UserError, match="widht"):
        upnet.create_model(encoder={"widht": 3})


def test_import_upnet_is_light() -> None:
    code = "import upnet, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "hydra", "numpy", "pytorch_lightning"} & set(done.stdout.split())
