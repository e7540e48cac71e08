"""How well noise levels are estimated from measurements alone.

    python benchmarks/bench_noise_level.py ct100_train_128.npz ct100_train_256.npz

Noise is added to measurements of 32 slices of CT100[:70] at 0.5 % and 2 % of the
largest measurement, once each; printed is estimated ÷ true. "finer grid" and "half
a bin off" measure with another operator than the one that the estimate assumes.
"""

import argparse
import time

import _record
import numpy as np
import torch

from sklearn_ei.noise import GaussianNoise, PoissonGaussianNoise, PoissonNoise
from sklearn_ei.operators import Blur, FanBeamCT, ParallelBeamCT, gaussian_kernel

SMOKE = ["{ct128}", "{ct128}", "--only", "blur"]
SMOKE_SLOW = True
SHAPE = (128, 128)
CT = ParallelBeamCT(50, SHAPE)
FINE = ParallelBeamCT(50, (256, 256), pixel_size=0.5, bin_size=1.0, n_bins=183)
OFFSET = ParallelBeamCT(50, SHAPE, detector_offset=0.5)
# name: (operator assumed, operator that measured)
CASES = {
    "parallel beam, 50 views": (CT, CT),
    "finer grid": (CT, FINE),
    "half a bin off": (CT, OFFSET),
    "parallel beam, 20 views": (ParallelBeamCT(20, SHAPE),) * 2,
    "fan beam, 50 views": (FanBeamCT(50, SHAPE, source_distance=300),) * 2,
    "blur": (Blur(gaussian_kernel(1.5), SHAPE),) * 2,
}


def tensor(images):
    return torch.from_numpy(np.float32(images) / 65535)[:, None]


def models(level, y):
    """Return noise models with their numbers, of one mean variance."""
    sigma = level * float(y.abs().max())
    gain = sigma**2 / float(y.mean())
    return (
        GaussianNoise(sigma),
        PoissonNoise(gain),
        PoissonGaussianNoise(gain / 2, sigma * 0.5**0.5),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("coarse")
    parser.add_argument("fine")
    parser.add_argument("--only", nargs="*", choices=CASES, default=list(CASES))
    options = parser.parse_args()
    torch.set_num_threads(1)
    coarse, fine = (
        tensor(np.load(file)["images"][:32]) for file in (options.coarse, options.fine)
    )
    generator = torch.Generator().manual_seed(1)
    result = {**_record.read("noise_level"), "machine": _record.machine()}
    rows = result.setdefault("rows", {})
    for name in options.only:
        assumed, true = CASES[name]
        clean = true.forward(fine if true is FINE else coarse)
        rows[name] = {}
        for level in (0.005, 0.02):
            for model in models(level, clean):
                noisy = model.sample(clean, generator)
                start = time.process_time()
                found = type(model)().resolve(assumed, noisy).get_params()
                ratios = {
                    key: round(found[key] / value, 3)
                    for key, value in model.get_params().items()
                }
                rows[name][f"{level:.1%} {type(model).__name__}"] = ratios
                seconds = time.process_time() - start
                print(name, level, type(model).__name__, ratios, f"{seconds:.1f} s")
        _record.write("noise_level", result)


if __name__ == "__main__":
    main()
