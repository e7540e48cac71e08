import numpy as np
import pytest

from sklearn_ei.metrics import psnr, psnr_of_pixels, ssim


def test_psnr_is_the_paper_s_definition():
    rng = np.random.default_rng(0)
    x = rng.random((3, 8, 9)) * np.array([1, 2, 5])[:, None, None]
    z = x + 0.1 * rng.standard_normal(x.shape)
    expected = [
        20 * np.log10(np.sqrt(8 * 9) * a.max() / np.linalg.norm(a - b))
        for a, b in zip(x, z, strict=True)
    ]
    np.testing.assert_allclose(psnr(x, z, per_image=True), expected)
    assert psnr(x, z) == pytest.approx(np.mean(expected))


def test_psnr_of_colour_images_takes_the_mean_over_all_elements():
    x = np.ones((2, 4, 4, 3))
    assert psnr(x, x - 0.1) == pytest.approx(20.0)
    assert psnr(x, x) == np.inf


def test_psnr_of_pixels_is_what_the_paper_s_code_computes():
    rng = np.random.default_rng(0)
    x = rng.random((2, 8, 9, 3))
    z = x + 0.1 * rng.standard_normal(x.shape)
    expected = [
        20 * np.log10(np.sqrt(8 * 9) * a.max() / np.linalg.norm(a - b))
        for a, b in zip(x, z, strict=True)
    ]
    np.testing.assert_allclose(psnr_of_pixels(x, z, per_image=True), expected)
    assert psnr(x, z) - psnr_of_pixels(x, z) == pytest.approx(4.77, abs=0.002)
    with pytest.raises(ValueError, match="n_channels"):
        psnr_of_pixels(x[:, 0, 0, 0], z[:, 0, 0, 0])


def test_ssim():
    x = np.random.default_rng(0).random((2, 16, 16))
    assert ssim(x, x) == pytest.approx(1.0)
    noisy = x + 0.2 * np.random.default_rng(1).standard_normal(x.shape)
    assert ssim(x, noisy) < 0.9
    assert ssim(x, noisy, per_image=True).shape == (2,)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_different_shapes_are_refused(metric):
    with pytest.raises(ValueError, match=r"\(2, 8, 8\).*\(2, 8, 9\)"):
        metric(np.ones((2, 8, 8)), np.ones((2, 8, 9)))
