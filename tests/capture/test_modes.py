"""Eval mode for a while: each part gets its own mode back, errors or not."""

import contextlib

from torch import nn

from modellego.capture.modes import evaluating


def test_every_part_gets_its_own_mode_back() -> None:
    net = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(3).eval())
    with evaluating(net):
        assert not any(part.training for part in net.modules())
    assert [part.training for part in net.modules()] == [True, True, False]


def test_an_error_puts_the_modes_back_too() -> None:
    net = nn.Dropout()
    with contextlib.suppress(RuntimeError), evaluating(net):
        raise RuntimeError
    assert net.training


def test_several_modules_at_once() -> None:
    nets = nn.Dropout(), nn.Dropout()
    with evaluating(*nets):
        assert not any(net.training for net in nets)
    assert all(net.training for net in nets)
