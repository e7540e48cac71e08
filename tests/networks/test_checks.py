import pytest

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
