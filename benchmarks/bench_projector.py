"""Build time, memory, speed and agreement of the 2-D projector.

    python benchmarks/bench_projector.py

writes ``benchmarks/results/projector.json``. ASTRA and TorchTomo are compared
where they can be imported; otherwise the reason is recorded in their place.
"""

import argparse
import importlib.metadata
import json
import os
import resource
import subprocess
import sys
import time
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")

import _record
import numpy as np
import torch

from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.operators import ParallelBeamCT
from sklearn_ei.utils.odl import import_odl

SMOKE = ["--size", "32", "--views", "10", "--runs", "1", "--rounds", "1"]
SMOKE_SLOW = True
SEED = 0
PEERS = ("astra-toolbox", "scikit-image", "torchtomo")


def peak_rss():
    """Return the peak resident memory of this process in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def build_once(size, n_views):
    """Build a projector and print the figures, in a process of its own."""
    torch.set_num_threads(1)
    import_odl()
    baseline = peak_rss()
    wall, cpu = time.perf_counter(), time.process_time()
    operator = ParallelBeamCT(n_views, (size, size))
    projector = operator._constants.like(torch.empty(0)).projector
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    figures = {
        "wall_s": wall,
        "cpu_s": cpu,
        "peak_rss_gb": peak_rss() / 1e9,
        "peak_above_imports_gb": (peak_rss() - baseline) / 1e9,
        "matrix_pair_gb": projector.n_bytes() / 1e9,
        "n_nonzeros": projector.A.values().numel(),
    }
    print(json.dumps(figures))


def bench_build(size, n_views, n_runs):
    runs = []
    for _ in range(n_runs):
        command = [sys.executable, "-W", "ignore", __file__, "--build"]
        command += ["--size", str(size), "--views", str(n_views)]
        output = subprocess.run(command, capture_output=True, check=True, text=True)
        runs.append(json.loads(output.stdout.splitlines()[-1]))
    best = {key: float(np.median([run[key] for run in runs])) for key in runs[0]}
    return {
        "problem": f"{size} x {size}, {n_views} views",
        "median": best,
        "runs": runs,
        "required": "wall 8 s, peak 2 GB, pair 1.5 GB",
    }


def odl_module(operator, impl):
    """Return ODL's own differentiable ray transform of the same geometry."""
    odl, tomo = import_odl()
    from odl.contrib.torch import OperatorModule

    half = operator.image_shape[0] / 2
    space = odl.uniform_discr(
        [-half, -half], [half, half], operator.image_shape, dtype="float32"
    )
    return OperatorModule(tomo.RayTransform(space, operator.geometry(), impl=impl))


def peer_projectors(operator):
    """Return the peers that run here, and why the others do not."""
    n_views, n_bins = operator.measurement_shape
    found, missing = {}, {}

    def odl_astra():
        import astra  # noqa: F401  (or fail here)

        return odl_module(operator, "astra_cpu")

    def torchtomo(**kwargs):
        from torchtomo import ParallelBeam

        return ParallelBeam(
            operator.image_shape[0], n_views, n_bins, circle=False, **kwargs
        )

    makers = {
        "odl_astra_cpu": odl_astra,
        "torchtomo": torchtomo,
        "torchtomo_sparse_adjoint": lambda: torchtomo(sparse_adjoint=True),
    }
    for name, make in makers.items():
        try:
            found[name] = make()
        except Exception as error:  # whatever keeps a peer from running
            missing[name] = f"{type(error).__name__}: {error}"
    return found, missing


def bench_speed(n_rounds):
    operator = ParallelBeamCT(50, (128, 128))
    images = make_thorax_phantoms(10, (128, 128), random_state=SEED)
    x = torch.from_numpy(images)[:, None]
    peers, missing = peer_projectors(operator)
    projectors = {"ours": operator.forward, **peers}
    times = {name: [] for name in projectors}
    for turn in range(n_rounds + 1):  # the first warms up
        for name, project in projectors.items():
            leaf = x.clone().requires_grad_()
            start = time.perf_counter()
            project(leaf).square().sum().backward()
            if turn:
                times[name].append((time.perf_counter() - start) * 1e3)
    medians = {name: float(np.median(values)) for name, values in times.items()}
    ratios = {
        name: medians["ours"] / medians[name] for name in projectors if name != "ours"
    }
    return {
        "problem": "128 x 128, 50 views x 183 bins, batch 10, forward + backward",
        "median_ms": medians,
        "ours_over": ratios,
        "all_ms": times,
        "missing": missing,
        "required": {"odl_astra_cpu": 0.1, "torchtomo": 0.5},
    }


def relative_error(result, reference):
    return float(np.linalg.norm(result - reference) / np.linalg.norm(reference))


def bench_agreement():
    agreement = {}
    operator = ParallelBeamCT(50, (128, 128))
    image = make_thorax_phantoms(1, (128, 128), random_state=SEED)
    ours = operator.measure(image)[0]
    try:
        import astra  # noqa: F401  (or fail here)

        module = odl_module(operator, "astra_cpu")
        # In ODL's axes, x to the right and y upwards, an image lies on its side.
        turned = torch.from_numpy(np.ascontiguousarray(np.rot90(image[0], -1)))
        agreement["astra_linear"] = relative_error(
            module(turned[None, None])[0, 0].numpy(), ours
        )
    except Exception as error:  # whatever keeps ASTRA from running
        agreement["astra_linear"] = f"not run: {type(error).__name__}: {error}"
    # scikit-image turns about pixel n // 2, the middle of odd sizes only.
    try:
        from skimage.transform import radon
    except ImportError as error:
        agreement["skimage_radon"] = f"not run: {error}"
        return agreement
    size = 127
    v, u = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    smooth = np.exp(-((u - 0.2) ** 2 + (v + 0.1) ** 2) / 0.08)
    angles = np.arange(50) * 3.6
    reference = radon(smooth, theta=angles, circle=True).T
    operator = ParallelBeamCT(angles=angles, image_shape=(size, size), n_bins=size)
    agreement["skimage_radon"] = relative_error(
        operator.measure(smooth[None])[0], reference
    )
    agreement["required"] = {"astra_linear": 1e-4, "skimage_radon": 1e-2}
    return agreement


def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=512, help="of what is built")
    parser.add_argument("--views", type=int, default=180)
    parser.add_argument("--runs", type=int, default=3, help="of building")
    parser.add_argument("--rounds", type=int, default=7, help="of projecting")
    parser.add_argument("--build", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.build:
        return build_once(options.size, options.views)
    torch.set_num_threads(1)
    results = {
        "machine": _record.machine(),
        "load_before": os.getloadavg()[0],
        "peers": {name: version(name) for name in PEERS},
        "seed": SEED,
        "build": bench_build(options.size, options.views, options.runs),
        "speed": bench_speed(options.rounds),
        "agreement": bench_agreement(),
    }
    return print(_record.write("projector", results).read_text())


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
