"""What training costs beyond the network: `make bench`, or with more options

    python benchmarks/speed.py --threads 2 --plot speed.png

Times are ratios of what is timed in turns in one run: processor time on a CPU (of all
threads), wall time beside a GPU. Sections: `step` (a training step over the passes of
its network alone), `peers` (over deepinv's step, where deepinv is installed), `loop`
(skorch and our loop over a bare one, per step), `size` (cost per pixel), `predict`
(over a forward pass), `memory` (predicted and measured) and `grid` (several values of α
at once; wall time, so on an idle machine with --threads 1). Results go to
results/speed.json, or with `--device cuda` to results/speed_cuda.json; what could not
be run is null there. `--shrink 8` makes all images as many times smaller: a look at
whether everything runs, not a measurement.
"""

import argparse
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import _record
import numpy as np
import torch
from _steps import DEFAULT, PAPER, PAPER_FIVE, SMALL, DeepInverse, Ours
from _timing import in_turns, milliseconds, ratio
from joblib import parallel_config
from sklearn.model_selection import GridSearchCV
from torch import nn

from sklearn_ei import EquivariantReconstructor
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.groups import Rotations
from sklearn_ei.model_selection import neg_measurement_error_score
from sklearn_ei.operators import Inpainting, ParallelBeamCT
from sklearn_ei.training.machine import predict_memory
from sklearn_ei.utils.dataset import BatchedDataset

SMOKE = ["--shrink", "8", "--rounds", "1"]
SMOKE_SLOW = True
NETWORKS = {
    "paper's U-Net": PAPER,
    "paper's U-Net, 5 transforms": PAPER_FIVE,
    "16-channel U-Net": SMALL,
    "default": DEFAULT,
}


def step(options):
    """Step time over forward and backward of the network on the same images."""
    rows = {}
    for name, settings in NETWORKS.items():
        for precision in ("auto", "float32"):
            ours = ours_of(options, precision=precision, **settings)
            seconds = in_turns(
                {"step": ours.step, "network": ours.networks},
                device=options.device,
                rounds=rounds(options, settings),
            )
            rows[f"{name}, {precision}"] = {
                "asked": asked_of_step(name, options.device),
                **ratio(seconds, "step", "network"),
                "ms": milliseconds(seconds),
            }
    return rows


def asked_of_step(name, device):
    if device == "cuda":
        return None if name == "default" else 1.15
    return 1.05 if name.startswith("paper") else 1.20


def ours_of(options, *, size=128, **settings):
    """Return what is timed, at the size wanted."""
    return Ours(size=size // options.shrink, device=options.device, **settings)


def rounds(options, settings):
    heavy = settings in (PAPER, PAPER_FIVE) and options.device == "cpu"
    return at_least(3, options.rounds // 3, options) if heavy else options.rounds


def at_least(few, n_rounds, options):
    return max(min(few, options.rounds), n_rounds)


def peers(options):
    """Step time over deepinv's, for the same U-Net and a batch of 2."""
    try:
        import deepinv
    except ImportError:
        return None
    rows = {"version": deepinv.__version__}
    cases = [
        ("FBP, 1 transform", True, PAPER, {"auto": 0.55, "float32": 0.95}),
        (
            "FBP, 5 transforms",
            True,
            PAPER_FIVE,
            {"auto": 0.55, "float32": 0.95},
        ),
        ("as shipped, 1 transform", False, PAPER, {"auto": 0.20}),
    ]
    for name, fbp, settings, asked in cases:
        tasks = {
            precision: ours_of(options, precision=precision, **settings)
            for precision in asked
        }
        theirs = DeepInverse(tasks["auto"], fbp=fbp)
        seconds = in_turns(
            {
                **{precision: ours.step for precision, ours in tasks.items()},
                "deepinv": theirs.step,
            },
            rounds=rounds(options, settings),
            warm_up=1,
        )
        for precision, limit in asked.items():
            rows[f"{name}, {precision}"] = {
                "asked": limit,
                **ratio(seconds, precision, "deepinv"),
                "ms": milliseconds(seconds),
            }
    return rows


class Nothing(nn.Module):
    """A network of one weight."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.weight * x


def loop(options):
    """Microseconds that skorch and our loop add to a step of a network of nothing."""
    n_steps = 2000 // options.shrink
    operator = Inpainting(0.3, (4, 4), random_state=0)
    Y = operator.measure(np.random.default_rng(0).random((2 * n_steps, 4, 4)))
    estimator = EquivariantReconstructor(
        operator,
        Rotations(4),
        max_epochs=1,
        network=Nothing(),
        lr_schedule="constant",
        check_rank=False,
        random_state=0,
        device=options.device,
        precision="float32",
    ).fit(Y)
    net = estimator.net_
    y = torch.from_numpy(Y)[:, None].to(estimator.device_)
    dataset = BatchedDataset(y, None, y)
    batches = [(part, None, part) for part in y.split(2)]

    def bare():
        for batch_y, truth, start in batches:
            net.optimizer_.zero_grad()
            elements = net.criterion_.draw(len(batch_y))
            evaluation = net.criterion_(
                net.module_, batch_y, truth, start, elements=elements
            )
            evaluation.loss.backward()
            net.optimizer_.step()

    def whole():
        net.partial_fit(dataset)

    seconds = in_turns(
        {"loop": whole, "bare": bare}, device=options.device, rounds=options.rounds
    )
    extra = np.subtract(seconds["loop"], seconds["bare"]) / n_steps
    return {
        "asked_microseconds": 60,
        "microseconds": 1e6 * float(np.median(extra)),
        "bare_microseconds": 1e6 * float(np.median(seconds["bare"])) / n_steps,
    }


def size(options):
    """Step time per pixel against size, relative to 128²."""
    result = {}
    for name, settings in (("16-channel U-Net", SMALL), ("default", DEFAULT)):
        steps = {n: ours_of(options, size=n, **settings) for n in options.sizes}
        seconds = in_turns(
            {n: ours.step for n, ours in steps.items()},
            device=options.device,
            rounds=at_least(3, options.rounds // 2, options),
        )
        networks = in_turns(
            {n: ours.networks for n, ours in steps.items()},
            device=options.device,
            rounds=at_least(3, options.rounds // 2, options),
        )
        rows = {}
        for n in options.sizes:
            per_pixel = np.divide(seconds[n], seconds[128]) * (128 / n) ** 2
            alone = np.divide(networks[n], networks[128]) * (128 / n) ** 2
            rows[str(n)] = {
                "ms": 1e3 * float(np.median(seconds[n])),
                "per_pixel_over_128": float(np.median(per_pixel)),
                "network_alone_per_pixel_over_128": float(np.median(alone)),
            }
        result[name] = rows
    return {"asked_512_over_128": 1.25, **result}


def predict(options):
    """`predict` over the forward pass of the network alone, 16 sinograms."""
    rows = {}
    for name, settings in {
        "paper's U-Net": PAPER,
        "16-channel U-Net": SMALL,
        "default": DEFAULT,
    }.items():
        ours = ours_of(options, batch=16, **settings)
        seconds = in_turns(
            {"predict": ours.predict, "network": ours.forward},
            device=options.device,
            rounds=rounds(options, settings),
        )
        rows[name] = {
            "asked": 1.10 if name == "paper's U-Net" else None,
            **ratio(seconds, "predict", "network"),
            "ms": milliseconds(seconds),
        }
    return rows


def resident():
    """Return the resident set of this process in bytes (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def memory(options):
    """Memory of a step, predicted and measured, and of 512² × 180 views."""
    cases = {
        "128², 50 views": {"size": 128, "n_views": 50},
        "128², 50 views, batch of 8": {"size": 128, "n_views": 50, "batch": 8},
        "256², 50 views": {"size": 256, "n_views": 50},
        "512², 180 views": {"size": 512, "n_views": 180},
    }
    # Each in a process of its own: what one has freed, another would use again.
    context = get_context("spawn")
    rows = {}
    for name, settings in cases.items():
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            rows[name] = pool.submit(memory_of, options, settings).result()
    return rows


def memory_of(options, settings):
    torch.set_num_threads(options.threads)
    ours = ours_of(options, **settings, stop_before_training=True)
    fixed, each = predict_memory(ours.net, ours.batch[0][:1])
    measured, total = peak_of(lambda: ours.net.partial_fit(ours.dataset, epochs=2))
    return {
        "predicted_GB": (fixed + len(ours.batch[0]) * each) / 1e9,
        "measured_GB": measured / 1e9,
        "whole_process_GB": total / 1e9,
    }


def peak_of(task):
    """Return how much memory a task takes at most, and the process with it."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        task()
        peak = torch.cuda.max_memory_allocated()
        return peak - before, peak
    before = peak = resident()
    over = threading.Event()

    def watch():
        nonlocal peak
        while not over.is_set():
            peak = max(peak, resident())
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    task()
    over.set()
    watcher.join()
    return peak - before, peak


def grid(options):
    """Several values of α at once: five on a GPU over one fit, two on two cores."""
    on_gpu, few = options.device == "cuda", min(3, options.rounds)
    size = (128 if on_gpu else 64) // options.shrink
    operator = ParallelBeamCT(50, (size, size))
    n = 40 // options.shrink
    Y = operator.measure(make_thorax_phantoms(n, (size, size), random_state=0))
    folds = [(np.arange(n - 1), np.array([n - 1]))]
    estimator = EquivariantReconstructor(
        operator,
        Rotations(360),
        max_epochs=10 if on_gpu else 2,
        check_rank=False,
        random_state=0,
        device=options.device,
    )

    def search(alphas, n_jobs, backend="threading"):
        with parallel_config(backend, n_jobs=n_jobs):
            GridSearchCV(
                estimator,
                {"alpha": alphas},
                cv=folds,
                scoring=neg_measurement_error_score,
                refit=False,
            ).fit(Y)

    alphas = [1, 10, 100, 1000, 10000]
    if on_gpu:
        tasks = {
            "five": lambda: search(alphas, 5),
            "one": lambda: search([100], 1),
        }
        seconds = in_turns(tasks, device="cuda", rounds=few, warm_up=1)
        return {"asked": 2.0, **ratio(seconds, "five", "one")}
    tasks = {
        "one after the other": lambda: search(alphas[:4], 1),
        "two threads": lambda: search(alphas[:4], 2),
        "two processes": lambda: search(alphas[:4], 2, "loky"),
    }
    seconds = in_turns(tasks, device="wall", rounds=few, warm_up=1)
    return {
        name: ratio(seconds, name, "one after the other")
        for name in ("two threads", "two processes")
    }


SECTIONS = {f.__name__: f for f in (step, peers, loop, size, predict, memory, grid)}


def plot(result, path):
    """Draw the cost per pixel against the size of the images."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
    for (name, rows), marker in zip(
        ((k, v) for k, v in result["size"].items() if isinstance(v, dict)),
        "os",
        strict=True,
    ):
        sizes = [int(n) for n in rows]
        for key, style, what in (
            ("per_pixel_over_128", "-", "step"),
            ("network_alone_per_pixel_over_128", ":", "network alone"),
        ):
            values = [row[key] for row in rows.values()]
            ax.plot(sizes, values, style, marker=marker, label=f"{name}, {what}")
    ax.set(xscale="log", xlabel="image size", ylabel="cost per pixel, over 128²")
    ax.set_xticks(sizes, [f"{n}²" for n in sizes], minor=False)
    ax.minorticks_off()
    ax.set_ylim(bottom=0)
    ax.legend(fontsize="small")
    figure.savefig(path, dpi=120)


def print_table(result):
    print("\n| what | asked | measured | ms |\n| --- | --- | --- | --- |")
    for section in ("step", "peers", "predict"):
        for name, row in (result.get(section) or {}).items():
            if isinstance(row, dict):
                ms = " / ".join(f"{value:.0f}" for value in row["ms"].values())
                limit = "–" if row["asked"] is None else f"{row['asked']:.2f}"
                print(f"| {section}: {name} | {limit} | {row['ratio']:.2f} | {ms} |")
    rows = result.get("grid") or {}
    if "asked" in rows:
        print(f"| five α at once over one | 2.00 | {rows['ratio']:.2f} | |")
    for name in [name for name in rows if name.startswith("two")]:
        print(f"| four fits, {name} over none | – | {rows[name]['ratio']:.2f} | |")
    if result.get("loop"):
        print(f"| loop, µs a step | 60 | {result['loop']['microseconds']:.0f} | |")
    for name, rows in (result.get("size") or {}).items():
        if isinstance(rows, dict) and "512" in rows:
            value = rows["512"]["per_pixel_over_128"]
            print(f"| cost per pixel, 512² over 128²: {name} | 1.25 | {value:.2f} | |")
    for name, row in (result.get("memory") or {}).items():
        predicted, measured = row["predicted_GB"], row["measured_GB"]
        print(f"| memory, GB: {name} | {predicted:.2f} predicted | {measured:.2f} | |")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="*", help=", ".join(SECTIONS))
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument(
        "--sizes", type=int, nargs="*", default=[64, 128, 256, 512], help="with 128"
    )
    parser.add_argument("--shrink", type=int, default=1, help="all images, so much")
    parser.add_argument("--plot", help="PNG file")
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"unknown sections: {', '.join(sorted(unknown))}")

    name = "speed" if options.device == "cpu" else "speed_cuda"
    result = {} if options.no_record else _record.read(name)
    result["machine"] = _record.machine()
    for section in options.sections or SECTIONS:
        start = time.perf_counter()
        found = SECTIONS[section](options)
        # A section that cannot be run here keeps what was measured before.
        if found is not None or section not in result:
            result[section] = found
        print(f"{section}: {time.perf_counter() - start:.0f} s", flush=True)
        if not options.no_record:
            _record.write(name, result)
    print_table(result)
    if options.plot and result.get("size"):
        plot(result, options.plot)


if __name__ == "__main__":
    main()
