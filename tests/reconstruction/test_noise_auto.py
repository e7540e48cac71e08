"""noise="auto": what a fit finds out, says and does."""

import warnings

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from sklearn_ei import (
    EquivariantReconstructor,
    EquivariantReconstructorCV,
    load,
    save,
)
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.groups import Rotations, Shifts
from sklearn_ei.losses import SURE, Splitting
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.noise import (
    GaussianNoise,
    NoiseWarning,
    PoissonNoise,
    UnknownNoiseError,
)
from sklearn_ei.operators import Inpainting, ParallelBeamCT

TINY = {"network": Unrolled(UNet(width=2, depth=2), n_stages=1), "max_epochs": 1}
TINY |= {"random_state": 0}
IMAGES = make_thorax_phantoms(6, (32, 32), random_state=0)
OPERATOR = ParallelBeamCT(n_views=30)
CLEAN = OPERATOR.measure(IMAGES)
SIGMA = 0.02 * float(CLEAN.max())
NOISY = GaussianNoise(SIGMA).add(CLEAN, random_state=0)


def fitted(Y, truth=None, **parameters):
    ei = EquivariantReconstructor(OPERATOR, Rotations(360), **TINY | parameters)
    return ei.fit(Y, truth)


@pytest.fixture
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("Y", [CLEAN, CLEAN[:1], 0 * CLEAN], ids=["", "one", "zeros"])
@pytest.mark.usefixtures("_no_warnings")
def test_noise_free_data_trains_as_if_told_so(Y):
    found, told = fitted(Y), fitted(Y, noise=None)
    assert found.noise_ is None
    np.testing.assert_array_equal(found.predict(Y), told.predict(Y))


@pytest.mark.parametrize("data_term", ["auto", "sure", "r2r", "supervised"])
@pytest.mark.usefixtures("_no_warnings")
def test_noise_is_found_and_told_to_every_term(data_term):
    ei = fitted(NOISY, IMAGES, data_term=data_term)
    assert ei.noise_.sigma == pytest.approx(SIGMA, rel=0.1)
    assert not ei.function_.keeps_measurements
    assert not ei.build_function().keeps_measurements
    if data_term == "auto":
        assert "sure" in ei.history_[-1]
        same = fitted(NOISY, noise=ei.noise_)
        np.testing.assert_array_equal(ei.predict(NOISY), same.predict(NOISY))


def test_the_level_depends_on_measurements_alone():
    levels = {fitted(NOISY, random_state=seed).noise_.sigma for seed in range(3)}
    assert len(levels) == 1


def test_terms_that_need_a_level_have_one_of_zero():
    for name in ("sure", "r2r"):
        assert fitted(CLEAN, data_term=name).noise_.levels == (0, 0)


def test_unsure_is_told_nothing():
    assert fitted(NOISY, data_term="unsure").noise_ is None


def test_pairs_are_made_of_gaussian_noise_where_counts_are_found():
    counted = PoissonNoise(SIGMA**2 / float(CLEAN.mean())).add(CLEAN, random_state=0)
    assert fitted(counted).noise_.gain > 0
    assert fitted(counted, data_term="r2r").noise_.sigma == pytest.approx(
        SIGMA, rel=0.2
    )


def test_a_fit_says_what_it_assumes_where_nothing_is_told():
    ei = EquivariantReconstructor(Inpainting(0.3), Shifts(), **TINY)
    Y = Inpainting(0.3, (32, 32)).measure(IMAGES)
    with pytest.warns(NoiseWarning, match="and none is assumed") as caught:
        ei.fit(Y)
    assert {w.filename for w in caught if w.category is NoiseWarning} == {__file__}
    assert ei.noise_ is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ei.set_params(noise=None).fit(Y)
    ei.set_params(noise="auto", data_term="sure")
    with pytest.raises(UnknownNoiseError, match="data_term='sure', but expected the"):
        ei.fit(Y)


def test_loud_noise_starts_from_a_hann_window():
    assert fitted(NOISY).operator_.filter == "hann"
    assert fitted(CLEAN).operator_.filter == "auto"
    chosen = ParallelBeamCT(n_views=30, filter="ram-lak")
    ei = EquivariantReconstructor(chosen, Rotations(360), **TINY).fit(NOISY)
    assert ei.operator_.filter == "ram-lak"


def test_a_path_finds_noise_once_and_ends_as_a_fit_does():
    path = EquivariantReconstructorCV(
        OPERATOR, Rotations(360), [1, 10], **TINY | {"max_epochs": 2}
    ).fit(NOISY)
    ei = fitted(NOISY, alpha=path.alpha_, max_epochs=2)
    assert path.noise_.sigma == ei.noise_.sigma
    assert path.best_estimator_.noise == "auto"
    np.testing.assert_array_equal(path.predict(NOISY), ei.predict(NOISY))


def test_what_was_found_is_saved(tmp_path):
    ei = fitted(NOISY)
    save(ei, tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.noise == "auto"
    assert again.noise_.sigma == ei.noise_.sigma
    assert again.operator_.filter == "hann"
    np.testing.assert_array_equal(again.predict(NOISY), ei.predict(NOISY))


@pytest.mark.parametrize("width", [0.0, 1.5])
def test_noise_that_bins_share_is_met_by_splits_of_views(width):
    """SURE takes entries to be independent; views still are."""
    operator = ParallelBeamCT(40, (32, 32))
    Y = operator.measure(IMAGES)
    noise = np.random.default_rng(0).normal(size=Y.shape)
    if width:
        noise = gaussian_filter1d(noise, width, axis=-1)
    Y = Y + 0.03 * Y.max() * noise / noise.std()
    ei = EquivariantReconstructor(
        operator, network=UNet(2, 2), max_epochs=1, random_state=0
    )
    if width:
        with pytest.warns(NoiseWarning, match="not independent"):
            ei.fit(Y)
        assert isinstance(ei.data_term_, Splitting)
        assert ei.net_.criterion_.data_term.noise is None
        ei.set_params(data_term="sure")
        with pytest.warns(NoiseWarning, match="not independent"):
            ei.fit(Y)
    else:
        ei.fit(Y)
    assert isinstance(ei.data_term_, SURE)
    assert ei.noise_.levels[0] == pytest.approx(0.03 * Y.max(), rel=0.5)


# ------------------------------------------------------------------------- holes
def _first_is_blank(Y):
    Y[:, :, 20] = np.nan
    Y[0] = np.where(np.isnan(Y[0]), np.nan, 0)


def _first_has_one_view(Y):
    Y[0, 1:] = np.nan


def _last_have_different_holes(Y):
    Y[4, ::2] = Y[5, 1::2] = np.nan


@pytest.mark.parametrize(
    "make_holes", [_first_is_blank, _first_has_one_view, _last_have_different_holes]
)
@pytest.mark.parametrize("noise", ["auto", GaussianNoise()], ids=str)
@pytest.mark.usefixtures("_no_warnings")
def test_samples_that_tell_of_noise_are_found_among_those_with_holes(make_holes, noise):
    Y = NOISY.copy()
    make_holes(Y)
    assert fitted(Y, noise=noise).noise_.sigma == pytest.approx(SIGMA, rel=0.1)
