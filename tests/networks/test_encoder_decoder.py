import pytest
import torch
from torch import nn

from sklearn_ei.networks import EncoderDecoder, ResidualUNet

SHAPES = [(1,), (37,), (16, 16), (9, 13), (1, 1), (5, 4, 6)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "make",
    [
        lambda n: EncoderDecoder(6, 3, width=4, depth=2, n_spatial_dims=n),
        lambda n: ResidualUNet(
            6, width=2, depth=2, n_spatial_dims=n, residual=False, out_channels=3
        ),
    ],
    ids=["encoder-decoder", "unet"],
)
def test_images_of_any_size_from_noise_of_any_channels(make, shape):
    x = make(len(shape))(torch.randn(1, 6, *shape))
    assert x.shape == (1, 3, *shape)
    assert torch.isfinite(x).all()


def test_is_the_hourglass_of_the_deep_image_prior_at_its_size():
    network = EncoderDecoder()
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert convolutions[0].in_channels == 32
    assert {m.out_channels for m in convolutions} == {128, 1}
    kinds = [(m.kernel_size[0], m.stride[0]) for m in convolutions]
    assert kinds == [(3, 2), (3, 1)] * 5 + [(3, 1), (1, 1)] * 5 + [(1, 1)]


def test_nothing_skips_the_bottleneck():
    network = EncoderDecoder(2, width=3, depth=3)
    network.down[-1].register_forward_hook(lambda m, args, out: torch.zeros_like(out))
    images = [network(torch.randn(1, 2, 16, 16)) for _ in range(2)]
    assert torch.equal(*images)


def test_bottleneck_has_half_the_resolution_for_each_level():
    network = EncoderDecoder(2, width=3, depth=3)
    seen = []
    network.down[-1].register_forward_hook(lambda m, args, out: seen.append(out.shape))
    network(torch.randn(1, 2, 32, 17))
    assert seen == [(1, 3, 4, 3)]


def test_gradients_reach_every_parameter():
    network = EncoderDecoder(2, width=3, depth=2)
    network(torch.randn(1, 2, 8, 8)).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
    assert float(network.down[0][0].weight.grad.abs().max()) > 0


def test_plain_unet_has_no_way_round_its_layers():
    network = ResidualUNet(1, width=2, depth=2, residual=False)
    assert float(network.last.weight.detach().abs().max()) > 0
    x = torch.randn(1, 1, 8, 8)
    nn.init.zeros_(network.last.weight)
    nn.init.ones_(network.last.bias)
    assert torch.equal(network(x), torch.ones_like(x))


def test_residual_unet_keeps_its_channels():
    with pytest.raises(ValueError, match=r"Got out_channels=3 with residual=True, but"):
        ResidualUNet(1, out_channels=3)
