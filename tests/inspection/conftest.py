import matplotlib as mpl
import pytest


@pytest.fixture(autouse=True)
def close_figures():
    mpl.use("Agg")
    yield
    import matplotlib.pyplot as plt

    plt.close("all")
