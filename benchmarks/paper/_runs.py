"""Runs: trained once, whoever asks for them, and resumed after a kill."""

import hashlib
import json
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

import numpy as np
import torch

from sklearn_ei import save
from sklearn_ei.metrics import psnr, psnr_of_pixels, ssim
from sklearn_ei.utils.files import write_atomically

from .. import _record
from .._look import scale_of
from ._callbacks import StepSchedule, Watch
from ._problems import load_problem
from ._recipes import DIP, LEARNED, N_TV, TV_GRID, make_estimator, schedule_of

FORMAT = 1
_POINTS = 100  # at most about so many looks at the images in one training
_N_TRAIN_LOOK = 10
_NOT_IDENTITY = ("callbacks", "checkpoint", "device", "verbose")


class Run:
    """One run and its files in the output folder.

    Parameters
    ----------
    spec : Spec
        Canonical.
    settings : Settings
        Of the command.
    """

    def __init__(self, spec, settings):
        self.spec, self.settings = spec, settings
        self.problem = load_problem(spec.problem, settings)
        self.estimator = make_estimator(spec, self.problem, settings)
        n_epochs = getattr(self.estimator, "max_epochs", 0)
        learned = hasattr(self.estimator, "max_epochs")
        self.schedule = schedule_of(spec, settings, n_epochs) if learned else None
        parameters = self.estimator.get_params(deep=False)
        self.identity = {
            "problem": spec.problem,
            "strategy": spec.strategy,
            "alpha": spec.alpha,
            "sample": spec.sample,
            "preset": settings.preset,
            "seed": settings.seed,
            "n_train": settings.n_train,
            "n_test": settings.n_test,
            "image_shape": list(self.problem.images.shape[1:]),
            "sigma": self.problem.sigma,
            "data": self.problem.digest(),
            "schedule": None if self.schedule is None else list(self.schedule),
            "parameters": {
                name: _plain(value)
                for name, value in parameters.items()
                if name not in _NOT_IDENTITY
            },
        }
        text = json.dumps(self.identity, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        parts = [spec.problem, settings.preset, spec.strategy]
        parts += [] if spec.alpha is None else [f"alpha{spec.alpha:g}"]
        parts += [] if spec.sample is None else [f"image{spec.sample}"]
        self.name = "-".join([*parts, f"seed{settings.seed}", digest])

    def path(self, folder, suffix):
        return self.settings.out / folder / f"{self.name}{suffix}"

    @property
    def done(self):
        return self.path("runs", ".json").exists()

    def result(self):
        """Return the JSON of a run that is done."""
        return json.loads(self.path("runs", ".json").read_text("utf-8"))

    def reconstructions(self):
        """Return the test images as reconstructed."""
        with np.load(self.path("images", ".npz"), allow_pickle=False) as file:
            return file["images"]

    def execute(self):
        """Train, measure, and write it all down; go on where a kill left off."""
        for folder in ("runs", "images", "models"):
            (self.settings.out / folder).mkdir(parents=True, exist_ok=True)
        with _locked(self.path("models", ".lock")):
            if not self.done:  # another process may have been faster
                self._execute()

    def _execute(self):
        problem, spec = self.problem, self.spec
        train, test = problem.train, problem.test
        if spec.sample is not None:
            one = problem.n_train + spec.sample
            train = test = slice(one, one + 1)
        start = time.process_time(), time.perf_counter()
        if spec.strategy in LEARNED or hasattr(self.estimator, "max_epochs"):
            extra = self._train(train, test)
        elif spec.strategy == "tv":
            extra = self._choose_tv()
        else:
            extra = {}
        if spec.strategy in DIP:
            found = self.estimator.fit_predict(problem.Y[test])
            extra["epochs"] = int(self.estimator.n_iter_[0])
            extra["best_iteration"] = int(self.estimator.best_iteration_[0])
        else:
            if not hasattr(self.estimator, "operator_"):
                self.estimator.fit(problem.Y[train])
            found = self.estimator.predict(problem.Y[test])
        seconds = time.process_time() - start[0], time.perf_counter() - start[1]
        result = {
            "format": FORMAT,
            "name": self.name,
            "title": spec.title,
            "run": self.identity,
            "machine": _record.machine(),
            "threads": self.settings.threads,
            "epochs": 0,
            "cpu_seconds": seconds[0],
            "wall_seconds": seconds[1],
            "test": _quality(problem.images[test], found, problem.in_colour),
            **extra,
        }
        if spec.sample is None and spec.strategy != "tv":  # whose images take long
            on_train = self.estimator.predict(problem.Y[train])
            result["train"] = _quality(
                problem.images[train], on_train, problem.in_colour
            )
        np.savez_compressed(self.path("images", ".npz"), images=found)
        write_json(self.path("runs", ".json"), result)
        self.path("models", ".checkpoint").unlink(missing_ok=True)

    def _train(self, train, test):
        problem, estimator = self.problem, self.estimator
        n_epochs = estimator.max_epochs
        look = slice(train.start, min(train.stop, train.start + _N_TRAIN_LOOK))
        sets = {"train": (problem.Y[look], problem.images[look])}
        if self.spec.sample is None:
            sets["test"] = (problem.Y[test], problem.images[test])
        watch = Watch(
            self.name,
            n_epochs,
            sets,
            every=max(1, n_epochs // _POINTS),
            scale=scale_of(estimator.operator, problem.Y[train]),
        )
        callbacks = [watch]
        if self.schedule is not None:
            callbacks.append(StepSchedule(*self.schedule))
        estimator.set_params(
            checkpoint=self.path("models", ".checkpoint"), callbacks=callbacks
        )
        truth = problem.images[train] if self.spec.needs_truth else None
        estimator.fit(problem.Y[train], truth)
        history = estimator.history_
        if len(history) < n_epochs:
            raise SystemExit(f"{self.name} was interrupted; the same command goes on.")
        estimator.set_params(checkpoint=None, callbacks=None)
        save(estimator, self.path("models", ".safetensors"))
        looks = [epoch for epoch in history if "psnr_train" in epoch]
        noise = getattr(estimator, "noise_", None)
        return {
            "epochs": len(history),
            # Of all pieces, if the training was killed in between.
            "cpu_seconds": sum(epoch["cpu_seconds"] for epoch in history),
            "wall_seconds": sum(epoch["dur"] for epoch in history),
            "alpha_used": estimator.alpha_,
            "sigma_used": None if noise is None else float(noise.sigma),
            "precision": str(estimator.precision_).removeprefix("torch."),
            "device": str(estimator.device_),
            "curve": {
                "epoch": [epoch["epoch"] for epoch in looks],
                **{n: [epoch[f"psnr_{n}"] for epoch in looks] for n in sets},
            },
            "losses": {
                name: [float(f"{epoch[name]:.6g}") for epoch in history]
                for name in history[0]
                if name.endswith(("_loss", "_error"))
            },
        }

    def _choose_tv(self):
        """Take the λ that does best on the first training images."""
        problem, few = self.problem, slice(0, min(N_TV, self.problem.n_train))
        scores = {}
        for value in TV_GRID:
            self.estimator.set_params(regularization=value).fit(problem.Y[few])
            scores[value] = self.estimator.score(problem.Y[few], problem.images[few])
        best = max(scores, key=scores.get)
        self.estimator.set_params(regularization=best).fit(problem.Y[problem.train])
        return {
            "regularization": best,
            "scores": {f"{k:g}": s for k, s in scores.items()},
        }


def _plain(value):
    """Return a parameter as JSON knows it."""
    number = isinstance(value, bool | int | float | str) or value is None
    return value if number else " ".join(repr(value).split())


def _quality(images, found, in_colour):
    """Return PSNR and SSIM of every image, and their means."""
    values = {"psnr": psnr(images, found, per_image=True)}
    if in_colour:
        values["psnr_of_pixels"] = psnr_of_pixels(images, found, per_image=True)
    axis = -1 if in_colour else None
    values["ssim"] = ssim(images, found, channel_axis=axis, per_image=True)
    means = {name: float(array.mean()) for name, array in values.items()}
    per_image = {
        f"{name}_per_image": [round(float(v), 5) for v in array]
        for name, array in values.items()
    }
    return {**means, **per_image}


def write_json(path, document):
    """Write JSON, completely or not at all."""
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    write_atomically(path, [text.encode()])


@contextmanager
def _locked(path):
    """Let one process at a time work on a run; the lock goes with the process."""
    try:
        import fcntl
    except ImportError:  # Windows: do not start the same command twice
        yield
        return
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _execute(spec, settings):
    torch.set_num_threads(settings.threads)
    Run(spec, settings).execute()


def ensure(specs, settings):
    """Return the runs of ``specs``, after training those that are missing."""
    torch.set_num_threads(settings.threads)
    runs = [Run(spec.canonical(settings.preset), settings) for spec in specs]
    missing = {run.name: run.spec for run in runs if not run.done}
    todo = sorted(missing.values(), key=lambda spec: -spec.cost)
    if len(todo) > 1 and settings.jobs > 1:
        with ProcessPoolExecutor(settings.jobs, get_context("spawn")) as pool:
            futures = [pool.submit(_execute, spec, settings) for spec in todo]
            for future in futures:
                future.result()
    else:
        for spec in todo:
            _execute(spec, settings)
    return runs
