import numpy as np
import pytest

from sklearn_ei.datasets import make_thorax_phantoms


def test_same_seed_same_slices():
    first = make_thorax_phantoms(3, (32, 40), random_state=1)
    assert first.shape == (3, 32, 40)
    assert first.dtype == np.float32
    np.testing.assert_array_equal(
        first, make_thorax_phantoms(3, (32, 40), random_state=1)
    )
    assert not np.array_equal(first, make_thorax_phantoms(3, (32, 40), random_state=2))


def test_attenuation_is_that_of_a_chest():
    images = make_thorax_phantoms(8, random_state=0)
    assert images.min() >= 0
    assert 0.3 < images.max() < 0.45  # bone, 1/cm
    corners = images[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    np.testing.assert_allclose(corners, 0, atol=1e-3)  # air
    for image in images:
        soft_tissue = (image > 0.17) & (image < 0.24)
        lung = (image > 0.03) & (image < 0.09)
        assert soft_tissue.mean() > 0.1
        assert lung.mean() > 0.08


def test_no_two_slices_are_alike():
    images = make_thorax_phantoms(5, (48, 48), random_state=0).reshape(5, -1)
    assert np.corrcoef(images)[np.triu_indices(5, 1)].max() < 0.99


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "n_samples"),
        ((2, (32,)), "image_shape"),
        ((2, (32, -1)), "image_shape"),
    ],
)
def test_bad_sizes_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_thorax_phantoms(*arguments)
