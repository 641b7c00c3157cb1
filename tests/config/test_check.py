"""check() of a config against the signatures of its targets, before anything is built."""

import time
from typing import Any

import pytest
from example_config import ADAMW, CHECKPOINT, TRAINER, Encoder, Model, Settings, config, encoder, errors, model
from omegaconf import OmegaConf

from upnet.config import check

MODULE = Encoder.__module__
VALID = {
    "smallest": config(),
    "a list of factories": model(upsampler=[ADAMW, ADAMW]),
    "null where null is a default": model(size=None),
    "an integer for a number": model(drop=1),
    "a hint under TYPE_CHECKING": model(encoder=encoder(stem=3)),
    "a group of settings": config(average={"decay": 0.999}),
    "null for an optional group": config(average=None),
    "components by name": config(callbacks={"best": CHECKPOINT, "other": None}),
    "a list as a tuple": config(optimizer={**ADAMW, "lr": 1e-3, "betas": [0.9, 0.99]}),
    "Lightning": config(trainer={**TRAINER, "max_steps": 100, "precision": "bf16-mixed", "callbacks": [CHECKPOINT]}),
    "arbitrary keywords where they are accepted": config(logger={"_target_": f"{MODULE}.Open", "flush_secs": 3}),
}


@pytest.mark.parametrize("settings", VALID.values(), ids=VALID.keys())
def test_a_valid_config_is_accepted(settings: dict[str, Any]) -> None:
    check(OmegaConf.create(settings), Settings)
    check(settings, Settings)


def test_a_factory_may_lack_arguments() -> None:
    """The code that calls the factory gives them."""
    check(config(optimizer=ADAMW), Settings)
    (error,) = errors(config(optimizer={"_target_": "torch.optim.AdamW"}))
    assert (error.setting, error.problem) == ("optimizer.params", "required by torch.optim.AdamW")
    assert error.cure == "Set optimizer.params=…"


def test_nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Model, scale: int, encoder: Encoder) -> None:
        raise AssertionError("built")

    monkeypatch.setattr(Model, "__init__", fail)
    check(config(), Settings)


def test_a_large_config_is_checked_in_a_fraction_of_a_second() -> None:
    large = config(trainer={**TRAINER, "max_steps": 3, "precision": "32"}, optimizer=ADAMW)
    large["callbacks"] = {f"callback_{i}": CHECKPOINT for i in range(20)}
    check(large, Settings)  # imports the targets
    start = time.process_time()
    check(large, Settings)
    assert time.process_time() - start < 0.5
