"""Complex k-space through estimators, scorers, files and lazy stacks."""

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

import sklearn_ei
from sklearn_ei import (
    ConformalReconstructor,
    DeepImagePriorReconstructor,
    EquivariantReconstructor,
    PseudoInverseReconstructor,
    TikhonovReconstructor,
    TotalVariationReconstructor,
    load,
    save,
)
from sklearn_ei.groups import Phases, Rotations
from sklearn_ei.metrics import psnr, psnr_of_pixels, ssim
from sklearn_ei.model_selection import (
    equivariance_score,
    held_out_score,
    neg_measurement_error_score,
    neg_nmse_score,
    psnr_score,
    round_trip_score,
    ssim_score,
)
from sklearn_ei.networks import UNet
from sklearn_ei.operators import MRI
from tests.cases import coils

SHAPE = (16, 12)
RNG = np.random.default_rng(0)
IMAGES = (RNG.normal(size=(6, *SHAPE)) + 1j * RNG.normal(size=(6, *SHAPE))).astype(
    np.complex64
)


def to_channels(z):
    """Return (n, H, W, 2c) real of (n[, c], H, W) complex."""
    z = z if z.ndim == 4 else z[:, None]
    pairs = np.stack([z.real, z.imag], axis=2)
    return np.moveaxis(pairs.reshape(len(z), -1, *z.shape[2:]), 1, -1)


def scanner(n_coils=1):
    sensitivities = None if n_coils == 1 else coils(n_coils, *SHAPE)
    return MRI(2, sensitivities=sensitivities, center_fraction=0.3)


def equivariant(operator, **parameters):
    parameters = {"max_epochs": 2, "batch_size": 2, "random_state": 0, **parameters}
    group = Rotations(2) * Phases(4)
    return EquivariantReconstructor(
        operator, group, network=UNet(width=4, depth=1), **parameters
    )


ESTIMATORS = {
    "A†y": PseudoInverseReconstructor,
    "Tikhonov": lambda operator: TikhonovReconstructor(operator, regularization=0.1),
    "TV": lambda operator: TotalVariationReconstructor(
        operator, regularization=0.01, n_iterations=100
    ),
    "EI": equivariant,
    "supervised": lambda operator: equivariant(operator, data_term="supervised"),
    "prior": lambda operator: DeepImagePriorReconstructor(
        operator, n_iterations=3, early_stopping=False, width=4, depth=1, random_state=0
    ),
}


@pytest.mark.parametrize("n_coils", [1, 3])
@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_complex_images_are_those_of_channels(name, n_coils):
    operator = scanner(n_coils)
    Y = operator.measure(IMAGES)
    truth = (IMAGES,) if name == "supervised" else ()
    fitted = ESTIMATORS[name](operator).fit(Y, *truth)
    as_channels = ESTIMATORS[name](operator).fit(
        to_channels(Y), *map(to_channels, truth)
    )
    if name == "prior":
        images, others = fitted.images_, as_channels.images_
    else:
        images, others = fitted.predict(Y), as_channels.predict(to_channels(Y))
    assert images.dtype == np.complex64
    np.testing.assert_array_equal(to_channels(images), others)


def test_scores_are_their_formulas():
    operator = scanner(3)
    Y = operator.measure(IMAGES)
    ei = equivariant(operator).fit(Y)
    images = ei.predict(Y)
    error = np.abs(images.astype(complex) - IMAGES) ** 2
    peak = np.abs(IMAGES).max((1, 2))
    expected = (10 * np.log10(peak**2 / error.mean((1, 2)))).mean()
    for value in (ei.score(Y, IMAGES), psnr_score(ei, Y, IMAGES), psnr(IMAGES, images)):
        assert value == pytest.approx(expected, rel=1e-6)
    nmse = error.sum() / (np.abs(IMAGES) ** 2).sum()
    assert neg_nmse_score(ei, Y, IMAGES) == pytest.approx(-nmse, rel=1e-5)
    misfit = np.abs(operator.measure(images) - Y) ** 2
    relative = misfit.sum() / (np.abs(Y) ** 2).sum()
    assert neg_measurement_error_score(ei, Y) == pytest.approx(-relative, rel=1e-5)
    magnitudes = ssim(np.abs(IMAGES), np.abs(images))
    assert ssim_score(ei, Y, IMAGES) == pytest.approx(magnitudes)
    twin = equivariant(operator).fit(to_channels(Y))
    for scorer in (round_trip_score, held_out_score, equivariance_score):
        assert scorer(ei, Y) == scorer(twin, to_channels(Y))
    assert ei.score(Y) == twin.score(to_channels(Y))


def test_metrics_compare_like_with_like():
    with pytest.raises(ValueError, match="two complex or two real stacks"):
        psnr(IMAGES, np.abs(IMAGES))
    with pytest.raises(ValueError, match="Complex data not supported"):
        ssim(IMAGES, IMAGES)
    with pytest.raises(ValueError, match="expected a real stack"):
        psnr_of_pixels(IMAGES, IMAGES)


def test_error_maps_are_of_the_distance_in_the_complex_plane():
    operator = scanner()
    Y = operator.measure(IMAGES)
    ei, twin = equivariant(operator).fit(Y), equivariant(operator).fit(to_channels(Y))
    _, std = ei.predict(Y, return_std=True, n_bootstrap=3)
    _, parts = twin.predict(to_channels(Y), return_std=True, n_bootstrap=3)
    assert std.dtype == np.float32
    np.testing.assert_allclose(std, np.linalg.norm(parts, axis=-1), rtol=1e-5)
    assert ei.null_space_fraction(Y).max() <= 1
    conformal = ConformalReconstructor(ei, n_bootstrap=3).fit(Y, IMAGES)
    images, std = conformal.predict(Y, return_std=True)
    inside = np.abs(images - IMAGES) <= 1.6448536 * std  # z of 90 %
    counted = std > 1e-3 * np.sqrt(np.square(std).mean((1, 2), keepdims=True))
    assert inside[counted].mean() == pytest.approx(0.9, abs=0.01)
    for estimator in (ei, conformal):
        with pytest.raises(ValueError, match="expected real ones for intervals"):
            estimator.predict_interval(Y)


@pytest.mark.parametrize("n_coils", [1, 3])
def test_saved_models_know_that_they_are_complex(tmp_path, n_coils):
    operator = scanner(n_coils)
    Y = operator.measure(IMAGES)
    for estimator in (equivariant(operator), PseudoInverseReconstructor(operator)):
        fitted = estimator.fit(Y)
        loaded = load(save(fitted, tmp_path / "model.safetensors"))
        np.testing.assert_array_equal(loaded.predict(Y), fitted.predict(Y))
        assert loaded.image_layout_ == fitted.image_layout_
        assert loaded.measurement_layout_ == fitted.measurement_layout_


def test_out_takes_complex_images(tmp_path):
    operator = scanner()
    Y = operator.measure(IMAGES)
    fitted = PseudoInverseReconstructor(operator).fit(Y)
    out = np.memmap(tmp_path / "out", np.complex128, "w+", shape=IMAGES.shape)
    assert fitted.predict(Y, out=out) is out
    np.testing.assert_array_equal(out, fitted.predict(Y))
    with pytest.raises(ValueError, match="dtype complex64 or complex128"):
        fitted.predict(Y, out=np.empty(IMAGES.shape, np.float32))


def test_k_space_is_read_from_a_file(tmp_path):
    h5py = pytest.importorskip("h5py")
    operator = scanner(3)
    Y = operator.measure(IMAGES)
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file.create_dataset("kspace", data=Y, chunks=(1, 3, *SHAPE))
        file.create_dataset("truth", data=IMAGES, chunks=(2, *SHAPE))
    from sklearn_ei.datasets import read_hdf5

    scan = read_hdf5(tmp_path / "scan.h5", "fastmri", lazy=True)
    expected = equivariant(operator).fit(Y).predict(Y)
    lazy = equivariant(operator).fit(scan.kspace)
    np.testing.assert_array_equal(lazy.predict(scan.kspace), expected)
    read = read_hdf5(tmp_path / "scan.h5", "fastmri")
    np.testing.assert_array_equal(lazy.predict(read.kspace), expected)
    supervised = equivariant(operator, data_term="supervised")
    with h5py.File(tmp_path / "scan.h5") as file:
        images = supervised.fit(file["kspace"], file["truth"]).predict(Y)
    again = equivariant(operator, data_term="supervised").fit(Y, IMAGES)
    np.testing.assert_array_equal(images, again.predict(Y))
    scan.kspace.close()


def test_the_form_of_fit_is_that_of_predict():
    operator = scanner()
    Y = operator.measure(IMAGES)
    ei = equivariant(operator).fit(Y)
    with pytest.raises(ValueError, match=r"was fitted on complex.*Y\.astype"):
        ei.predict(Y.real)
    with pytest.raises(ValueError, match="expected complex images"):
        ei.score(Y, np.abs(IMAGES))
    with pytest.raises(ValueError, match="was fitted on real measurements; pass np"):
        equivariant(operator).fit(to_channels(Y)).predict(Y)
    with pytest.raises(ValueError, match="expected complex images"):
        equivariant(operator, data_term="supervised").fit(Y, to_channels(IMAGES))
    with pytest.raises(ValueError, match="nothing but NaN in sample 0"):
        ei.predict(np.full_like(Y, np.nan))


def test_some_complex_images_may_be_missing():
    operator = scanner()
    Y, truth = operator.measure(IMAGES), IMAGES.copy()
    truth[2] = complex(np.nan, np.nan)
    fitted = equivariant(operator, data_term="supervised").fit(Y, truth)
    channels = to_channels(truth)
    twin = equivariant(operator, data_term="supervised").fit(to_channels(Y), channels)
    np.testing.assert_array_equal(
        to_channels(fitted.predict(Y)), twin.predict(to_channels(Y))
    )


def test_displays_show_magnitudes():
    pytest.importorskip("matplotlib").use("agg")
    operator = scanner(3)
    Y = operator.measure(IMAGES)
    fitted = PseudoInverseReconstructor(operator).fit(Y)
    images = fitted.predict(Y)
    display = sklearn_ei.ReconstructionDisplay.from_estimator(fitted, Y, IMAGES)
    panel = display.axes_[0, 2]
    np.testing.assert_allclose(
        panel.images[0].get_array(), np.abs(images[0]), rtol=1e-5
    )
    value = psnr(IMAGES[:1], images[:1])
    assert f"{value:.1f} dB" in panel.get_title()
    other = sklearn_ei.ReconstructionDisplay.from_predictions(operator, Y, images)
    np.testing.assert_allclose(
        other.axes_[0, 2].images[0].get_array(), np.abs(images[0]), rtol=1e-5
    )


@pytest.mark.parametrize("n_coils", [1, 3])
@pytest.mark.parametrize("lazy", [False, True])
def test_half_of_a_complex_number_is_none(n_coils, lazy):
    """np.where(mask, Y, np.nan) is NaN in real parts alone."""
    operator = scanner(n_coils)
    Y = operator.measure(IMAGES)
    Y = np.where(RNG.random(Y.shape) < 0.1, np.nan, Y)
    channels = to_channels(Y)
    assert np.isnan(channels).sum() == np.isnan(Y).sum()
    if lazy:
        channels = TensorDataset(torch.from_numpy(channels))
    expected = equivariant(operator, noise=None).fit(Y)
    found = equivariant(operator, noise=None).fit(channels)
    np.testing.assert_array_equal(
        found.predict(channels), to_channels(expected.predict(Y))
    )
    if lazy:
        return
    for make in (TotalVariationReconstructor, TikhonovReconstructor):
        one = make(operator, n_iterations=50).fit(Y)
        other = make(operator, n_iterations=50).fit(channels)
        assert one.regularization_ == other.regularization_
    np.testing.assert_array_equal(
        operator.reconstruct(channels), to_channels(operator.reconstruct(Y))
    )
