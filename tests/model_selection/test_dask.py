"""Grid search on a Dask cluster, on loopback."""

import joblib
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_ei import EquivariantReconstructor
from sklearn_ei.groups import Rotations
from sklearn_ei.model_selection import held_out_score
from sklearn_ei.networks import UNet


@pytest.mark.slow
# Other people's warnings: a cluster opens and closes sockets and loops.
@pytest.mark.filterwarnings("ignore")
def test_grid_search_on_a_cluster_gives_the_bits_of_one_process(ct_problem):
    distributed = pytest.importorskip("distributed")
    operator, _, Y = ct_problem
    ei = EquivariantReconstructor(
        operator, Rotations(360), max_epochs=2, network=UNet(2, 2), random_state=0
    )
    pipeline = make_pipeline(FunctionTransformer(np.negative), ei)
    grid = {"equivariantreconstructor__alpha": [0.0, 1.0, 5.0, 20.0, 100.0]}
    search = GridSearchCV(pipeline, grid, cv=2, scoring=held_out_score)
    expected = search.fit(-Y).cv_results_
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        # The cluster's work is known by its processes.
        pids = joblib.Parallel()(joblib.delayed(_pid)() for _ in range(2))
        found = search.set_params(n_jobs=-1).fit(-Y).cv_results_
    assert _pid() not in pids
    for split in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(found[split], expected[split])


def _pid():
    import os

    return os.getpid()
