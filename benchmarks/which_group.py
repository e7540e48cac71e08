"""Which group for which instrument: the rank check of every pair.

    python benchmarks/which_group.py

doc/which_group.md shows its result, results/which_group.json. A pair takes
seconds; the whole table some minutes on one core.
"""

import argparse

import _record
import numpy as np
import torch

import sklearn_ei.operators as ops
from sklearn_ei import check_group_rank
from sklearn_ei.groups import RandomAffine, Reflections, Rotations, Scalings, Shifts

SMOKE = ["--only", "means over 2 × 2 pixels"]
SHAPE = (32, 32)
INSTRUMENTS = {
    "CT, 12 parallel views": ops.ParallelBeamCT(12, SHAPE),
    "CT, 12 views of 90° only": ops.ParallelBeamCT(
        angles=np.arange(12) * 7.5, image_shape=SHAPE
    ),
    "CT, 24 views of a fan beam": ops.FanBeamCT(24, SHAPE, source_distance=64),
    "30 % of the pixels lost": ops.Inpainting(0.3, SHAPE),
    "512 random projections": ops.CompressedSensing(512, SHAPE),
    "MRI, 4 times as fast": ops.MRI(4, SHAPE),
    "blur, σ = 2 pixels": ops.Blur(ops.gaussian_kernel(2.0), SHAPE),
    "every second pixel": ops.Downsampling(2, SHAPE, antialias=False),
    "means over 2 × 2 pixels": ops.Downsampling(2, SHAPE),
}
GROUPS = {
    "shifts": Shifts(),
    "360 rotations": Rotations(360),
    "quarter turns": Rotations(4),
    "mirror images": Reflections(),
    "scalings": Scalings(),
    "turns and zooms": RandomAffine(degrees=180),
}
KEPT = (
    *("verdict", "sentence", "n", "m", "rank_interval", "sigma_ratio"),
    *("innovation", "innovation_floor", "certificate"),
)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=INSTRUMENTS, default=INSTRUMENTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = _record.read("which_group").get("rows", {})
    for instrument in options.only:
        rows[instrument] = {}
        for name, group in GROUPS.items():
            report = check_group_rank(
                INSTRUMENTS[instrument], group, random_state=0
            ).to_dict()
            rows[instrument][name] = {key: report[key] for key in KEPT}
            print(f"{instrument}, {name}: {report['verdict']}", flush=True)
    _record.write("which_group", {"machine": _record.machine(), "rows": rows})


if __name__ == "__main__":
    main()
