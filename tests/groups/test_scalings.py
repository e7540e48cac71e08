import numpy as np
import pytest
import torch
from skimage.transform import AffineTransform, warp

from sklearn_ei.groups import Scalings


def noise(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def test_elements_are_factors_and_their_reciprocals():
    group = Scalings([0.5, 2, 0.8])
    assert group.n_elements == 5
    assert group.scales(range(5)).tolist() == [1.0, 0.5, 2.0, 0.8, 1.25]


def test_without_reciprocals_images_are_only_shrunk():
    group = Scalings([0.5, 0.8], reciprocals=False)
    assert group.n_elements == 3
    assert group.scales(range(3)).tolist() == [1.0, 0.5, 0.8]
    # What is shrunk can be undone, though the inverse is no element.
    x = Scalings([4], reciprocals=False).transform(torch.ones(1, 1, 8, 8), 1)
    assert torch.equal(
        group.inverse_transform(x, 1)[..., 2:-2, 2:-2], x[..., 2:-2, 2:-2]
    )


@pytest.mark.parametrize("shape", [(16, 16), (15, 22)])
@pytest.mark.parametrize("factor", [0.5, 0.75, 1.3])
def test_bilinear_agrees_with_skimage(shape, factor):
    x = noise(1, 1, *shape)
    group = Scalings([factor])
    centre = (np.array(shape[::-1]) - 1) / 2
    for action, s in (("transform", factor), ("inverse_transform", 1 / factor)):
        inverse_map = AffineTransform(
            scale=(1 / s, 1 / s), translation=centre * (1 - 1 / s)
        )
        expected = warp(x[0, 0].numpy(), inverse_map, order=1, cval=0)
        y = getattr(group, action)(x, 1)[0, 0]
        np.testing.assert_allclose(y, expected, atol=1e-10)


def test_shrinking_by_half_averages_blocks():
    x = noise(1, 1, 8, 8)
    y = Scalings([0.5]).transform(x, 1)
    torch.testing.assert_close(y[..., 2:6, 2:6], torch.nn.functional.avg_pool2d(x, 2))
    assert float(y.abs().sum()) == pytest.approx(float(y[..., 2:6, 2:6].abs().sum()))


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"factors": []}, "finite positive numbers"),
        ({"factors": 0.5}, "factors=0.5, but expected a list"),
        ({"factors": [0.5, -1]}, "finite positive numbers"),
        ({"factors": [0.5, np.inf]}, "finite positive numbers"),
        ({"factors": ["half"]}, "finite positive numbers"),
        ({"factors": [0.5, 1]}, "none equal to 1"),
        ({"interpolation": "fft"}, "interpolation='fft'"),
    ],
)
def test_wrong_parameters_are_refused(params, match):
    with pytest.raises(ValueError, match=match):
        Scalings(**params).resolve((8, 8))


def test_flags_are_flags():
    with pytest.raises(TypeError, match="reciprocals"):
        Scalings(reciprocals=1).resolve((8, 8))


def test_signals_are_refused():
    with pytest.raises(ValueError, match=r"2-D images, but got .* \(9,\)"):
        Scalings().resolve((9,))
