"""One measurement and nothing else: the deep image prior, and EI on that measurement.

    python benchmarks/single_measurement.py ct100_train_128.npz urban100_train_256.npz

CT: slices [80:82] of CT100 at 128², 50 noise-free views. Inpainting: images [80:82]
of Urban100, colour, the middle 128², 30 % of the pixels lost. Neither method sees
another image, nor ground truth; the deep image prior stops by itself where it does.
What has been run is kept in results/single_measurement.json.
"""

import argparse
import time

import _record
import numpy as np
import torch

from sklearn_ei import DeepImagePriorReconstructor, EquivariantReconstructor
from sklearn_ei.groups import Rotations, Shifts
from sklearn_ei.metrics import psnr
from sklearn_ei.operators import Inpainting, ParallelBeamCT

SMOKE = ["{ct32}", "{urban192}", "--images", "1", "--iterations", "3", "--steps", "2"]
SMOKE_SLOW = True
PROBLEMS = {
    "ct": (ParallelBeamCT(n_views=50), Rotations(360)),
    "inpainting": (Inpainting(0.3), Shifts()),
}


def dip(network):
    def fit_predict(problem, Y, options):
        return DeepImagePriorReconstructor(
            PROBLEMS[problem][0],
            network=network,
            n_iterations=options.iterations,
            random_state=0,
        ).fit_predict(Y)

    return fit_predict


def single_ei(problem, Y, options):
    return (
        EquivariantReconstructor(
            *PROBLEMS[problem],
            batch_size=1,
            max_epochs=options.steps,
            random_state=0,
        )
        .fit(Y)
        .predict(Y)
    )


METHODS = {
    "A†y": lambda problem, Y, options: PROBLEMS[problem][0].reconstruct(Y),
    "EI on the single measurement": single_ei,
    "DIP-2 (encoder-decoder)": dip("encoder-decoder"),
    "DIP-1 (U-Net)": dip("unet"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ct")
    parser.add_argument("urban")
    parser.add_argument("--problems", nargs="*", default=list(PROBLEMS))
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--iterations", type=int, default=2000, help="of DIP")
    parser.add_argument("--steps", type=int, default=400, help="of EI")
    options = parser.parse_args()
    torch.set_num_threads(1)
    which = slice(80, 80 + options.images)
    stacks = {
        "ct": np.load(options.ct)["images"][which] / np.float32(65535),
        "inpainting": np.load(options.urban)["images"][which, 64:192, 64:192]
        / np.float32(255),
    }
    for problem in options.problems:
        images = stacks[problem]
        PROBLEMS[problem][0].set_params(image_shape=images.shape[1:3])
        Y = PROBLEMS[problem][0].measure(images)
        for name, method in METHODS.items():
            for i in range(options.images):
                result = _record.read("single_measurement")
                rows = result.setdefault(problem, {}).setdefault(name, {})
                if str(80 + i) in rows:
                    continue
                one = slice(i, i + 1)
                start = time.process_time()
                found = method(problem, Y[one], options)
                rows[str(80 + i)] = {
                    "psnr": psnr(images[one], found),
                    "cpu_seconds": time.process_time() - start,
                    "iterations": options.iterations if "DIP" in name else None,
                    "steps": options.steps if "EI" in name else None,
                }
                result["machine"] = _record.machine()
                _record.write("single_measurement", result)
                print(problem, name, 80 + i, rows[str(80 + i)], flush=True)


if __name__ == "__main__":
    main()
