import gc

import pytest
import torch

from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.operators import ParallelBeamCT

# Two busy threads on a shared machine can be a hundred times slower than one.
torch.set_num_threads(1)


def pytest_collection_finish():
    """Take what is there for good out of every later garbage collection.

    Modules and thousands of tests are some 10⁵ objects; looking through them again and
    again takes a sixth of a small fit.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def ct_slices():
    """Phantoms, and an operator that has measured them: others share its matrix."""
    images = make_thorax_phantoms(6, (24, 24), random_state=0)
    operator = ParallelBeamCT(n_views=12, image_shape=(24, 24))
    operator.measure(images)
    return images, operator


@pytest.fixture
def ct_problem(ct_slices):
    """A small operator, phantoms and their sinograms."""
    images, operator = ct_slices[0].copy(), ParallelBeamCT(n_views=12)
    return operator, images, operator.measure(images)


@pytest.fixture(scope="session")
def learning_problem():
    """A problem just large enough to learn on: operator, training and test data."""
    images = make_thorax_phantoms(20, (32, 32), random_state=0)
    operator = ParallelBeamCT(n_views=10)
    Y = operator.measure(images)
    return operator, Y[:16], images[:16], Y[16:], images[16:]
