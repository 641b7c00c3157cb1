"""The exponential moving average of the weights."""

import pytest
import torch


def test_update_moves_the_average_towards_the_weights_by_one_minus_decay() -> None:
    from upnet.training.ema import EMA

    net = torch.nn.BatchNorm1d(2)
    ema = EMA(net, decay=0.9)
    net.weight.data.fill_(3.0)
    net.running_mean.fill_(10.0)  # pyright: ignore[reportOptionalMemberAccess]
    net.num_batches_tracked.fill_(7)  # pyright: ignore[reportOptionalMemberAccess]
    ema.update(net, step=1000)
    assert isinstance(ema.net, torch.nn.BatchNorm1d)
    torch.testing.assert_close(ema.net.weight.data, torch.full((2,), 0.9 * 1 + 0.1 * 3))
    torch.testing.assert_close(ema.net.running_mean, torch.full((2,), 0.1 * 10.0))
    assert ema.net.num_batches_tracked == 7


def test_the_average_does_not_contain_the_initial_weights_after_60_steps() -> None:
    from upnet.training.ema import EMA

    net = torch.nn.Linear(1, 1, bias=False)
    ema = EMA(net, decay=0.999)
    net.weight.data.fill_(5.0)
    for step in range(1, 60):
        ema.update(net, step)
    assert isinstance(ema.net, torch.nn.Linear)
    assert ema.net.weight.item() == pytest.approx(5.0, abs=1e-3)
