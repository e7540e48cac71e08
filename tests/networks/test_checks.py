import pytest
import torch

from sklearn_ei.networks import EncoderDecoder, PatchDiscriminator, ResidualUNet


@pytest.mark.parametrize("network", [EncoderDecoder, PatchDiscriminator, ResidualUNet])
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"width": 0}, "Got width=0, but expected a positive integer"),
        ({"depth": 1.5}, "Got depth=1.5, but expected a positive integer"),
        ({"in_channels": True}, "Got in_channels=True"),
        ({"n_spatial_dims": 4}, "Got n_spatial_dims=4, but expected 1"),
    ],
)
def test_sizes_that_make_no_network(network, parameters, message):
    with pytest.raises(ValueError, match=message):
        network(**parameters)


@pytest.mark.parametrize("n_dims", [1, 2])
def test_critic_scores_one_image_of_one_pixel_at_the_end(n_dims):
    """Batch normalisation has nothing to divide by there."""
    critic = PatchDiscriminator(width=2, depth=3, n_spatial_dims=n_dims)
    scores = critic(torch.rand(1, 1, *[8] * n_dims))
    assert scores.shape == (1, 1, *[1] * n_dims)
    assert scores.isfinite().all()
    scores.sum().backward()
    # Two images have a variance, and are scored as torch's layers do.
    pair = torch.rand(2, 1, *[8] * n_dims)
    assert torch.equal(critic(pair), critic.layers(pair))
