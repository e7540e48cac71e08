import pytest
import torch
from torch import nn

from sklearn_ei.networks import ResidualUNet


@pytest.mark.parametrize("shape", [(16, 16), (9, 13), (1, 1), (5, 64)])
@pytest.mark.parametrize("channels", [1, 3])
def test_starts_as_the_identity_for_any_image_size(shape, channels):
    network = ResidualUNet(channels, width=4)
    x = torch.randn(2, channels, *shape)
    assert torch.equal(network(x), x)


@pytest.mark.parametrize("length", [1, 7, 32])
def test_signals(length):
    network = ResidualUNet(2, width=4, depth=3, n_spatial_dims=1)
    x = torch.randn(1, 2, length)
    assert torch.equal(network(x), x)


def test_volumes():
    network = ResidualUNet(1, width=2, depth=2, n_spatial_dims=3)
    x = torch.randn(1, 1, 5, 4, 6)
    assert torch.equal(network(x), x)


def test_is_the_paper_s_network_at_its_size():
    network = ResidualUNet()
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    three_by_three = [m for m in convolutions if m.kernel_size == (3, 3)]
    # Two a level on the way down and up, one for each upsampling.
    assert len(three_by_three) == 2 * 4 + 3 * 3
    assert len(convolutions) == len(three_by_three) + 1
    assert {m.out_channels for m in three_by_three} == {64, 128, 256, 512}
    assert [m.padding_mode for m in convolutions].count("circular") == 1
    flops = count_flops(network, (1, 1, 128, 128))
    assert flops == pytest.approx(24.8e9, rel=0.01)


def count_flops(network, shape):
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(shape))
    return counter.get_total_flops()


def test_width_and_depth():
    network = ResidualUNet(width=8, depth=2)
    widths = {m.out_channels for m in network.modules() if isinstance(m, nn.Conv2d)}
    assert widths == {8, 16, 1}


def test_gradients_reach_every_parameter_once_the_last_layer_has_moved():
    network = ResidualUNet(width=2, depth=3)
    nn.init.ones_(network.last.weight)
    network(torch.randn(2, 1, 16, 16)).square().mean().backward()
    assert all(p.grad is not None for p in network.parameters() if p.requires_grad)
    assert any(float(p.grad.abs().max()) > 0 for p in network.down[0].parameters())


def test_what_normalisation_takes_away_is_not_trained():
    """Adam would make full steps of the rounding errors that are its gradient."""
    network = ResidualUNet(width=4, depth=2, residual=False)
    x = torch.randn(2, 1, 16, 16)
    before = network(x)
    fixed = [w for w in network.parameters() if not w.requires_grad]
    assert len(fixed) == 2 * 2 + 3
    with torch.no_grad():
        for bias in fixed:
            bias.add_(1)
    torch.testing.assert_close(network(x), before)
