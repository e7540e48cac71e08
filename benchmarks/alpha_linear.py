"""What each score chooses where f is linear, and all expectations are exact.

    python benchmarks/alpha_linear.py

Signals of 24 entries are Gaussian with a stationary covariance, so that circular shifts
leave their distribution as it is; y = A x + noise. f is a matrix B, trained with the
expectation of the objective of robust equivariant imaging (Stein's risk, and
equivariance with noisy measurements of T_g f(y)), by L-BFGS for each α. Errors and
scores are expectations over signals and noise, from matrices alone: what is compared is
what the scores mean, without the scatter of samples. Written to
results/alpha_linear.json.
"""

import argparse
import itertools

import _record
import numpy as np
import torch

SMOKE = ["--noise", "0.2", "--instruments", "lost entries", "--rounds", "1"]
SMOKE_SLOW = True
NAME = "alpha_linear"
N = 24
ALPHAS = (0.0, 0.01, 0.1, 1.0, 10.0, 100.0)
INSTRUMENTS = ("random projections", "lost entries", "blur, entries lost")


class Problem:
    """An instrument, signals and noise, as matrices."""

    def __init__(self, instrument, sigma, seed):
        rng = np.random.default_rng(seed)
        frequencies = np.abs(np.fft.fftfreq(N) * N)
        covariance = circulant(np.fft.ifft((1 + frequencies) ** -2.0).real)
        self.C = covariance / covariance.diagonal().mean()
        if instrument == "random projections":
            A = rng.normal(size=(14, N)) / np.sqrt(14)
        else:
            A = np.eye(N)[np.sort(rng.permutation(N)[: 2 * N // 3])]
        if instrument.startswith("blur"):
            kernel = np.exp(-np.square(frequencies) / 2)
            A = A @ circulant(kernel / kernel.sum()).numpy()
        self.A, self.sigma = torch.tensor(A), sigma
        gram = self.A @ self.A.T
        if instrument.startswith("blur"):  # A† as it is suited to noise
            gram = gram + 0.1 * gram.trace() / len(gram) * torch.eye(len(gram))
        self.pinv = self.A.T @ torch.linalg.inv(gram)
        self.m = len(A)
        self.clean = self.A @ self.C @ self.A.T
        self.noisy = self.clean + sigma**2 * torch.eye(self.m)

    def error(self, B):
        """Return E‖B y − x‖²."""
        cross = B @ self.A @ self.C
        return float((B @ self.noisy @ B.T - 2 * cross + self.C).trace())

    def risk(self, H, L):
        """Return E‖L (H y − A x)‖²."""
        inner = H @ self.noisy @ H.T - 2 * H @ self.clean + self.clean
        return float((L @ inner @ L.T).trace())

    def residual(self, H, L):
        """Return E‖L (H y − y)‖²."""
        R = L @ (H - torch.eye(self.m))
        return float((R @ self.noisy @ R.T).trace())


def circulant(column):
    index = np.subtract.outer(np.arange(N), np.arange(N)) % N
    return torch.tensor(np.asarray(column)[index])


def train(problem, alpha, rounds):
    """Return B; x2 = T_g B y teaches, and no gradient passes through it."""
    A, index = problem.A, np.subtract.outer(np.arange(N), np.arange(N)) % N
    index = torch.tensor(index)
    B = problem.pinv.clone().requires_grad_()
    for _ in range(rounds if alpha else 1):
        S = (B @ problem.noisy @ B.T).detach()
        of_lags = torch.zeros(N).index_add(0, index.reshape(-1), S.reshape(-1)) / N
        shifted = of_lags[index]  # mean over shifts
        optimizer = torch.optim.LBFGS([B], max_iter=40, line_search_fn="strong_wolfe")

        def closure(shifted=shifted, optimizer=optimizer):
            optimizer.zero_grad()
            H, E = A @ B, B @ A - torch.eye(N)
            data = H @ problem.noisy @ H.T - 2 * H @ problem.clean
            again = E @ shifted @ E.T + problem.sigma**2 * B @ B.T
            loss = data.trace() / problem.m + alpha * again.trace() / N
            loss.backward()
            return loss

        optimizer.step(closure)
    return B.detach()


def scores_of(problem, B):
    """Return minus the expectation of each score's sum, over all shifts."""
    A, pinv, identity = problem.A, problem.pinv, torch.eye(problem.m)
    total = dict.fromkeys(
        ("naive", "naive, all", "corrected", "noisy again", "all, noisy again"), 0.0
    )
    for shift in range(1, N):
        T = torch.eye(N).roll(shift, 0)
        L = (torch.eye(N) - pinv @ A) @ T @ pinv
        second = A @ T.T @ B
        H = second @ A @ T @ B
        added, added_all = (
            problem.sigma**2 * float((W @ second).square().sum()) for W in (L, identity)
        )
        total["naive"] += problem.residual(H, L)
        total["naive, all"] += problem.residual(H, identity)
        total["corrected"] += problem.risk(H, L)
        total["noisy again"] += problem.risk(H, L) + added
        total["all, noisy again"] += problem.risk(H, identity) + added_all
    mean = {name: each / (N - 1) for name, each in total.items()}
    seen = problem.risk(A @ B, pinv)
    return {
        "round trip": -mean["naive"],
        "round trip, all": -mean["naive, all"],
        "corrected": -mean["corrected"],
        "corrected, noisy again": -mean["noisy again"],
        "all, corrected, noisy again": -mean["all, noisy again"],
        "seen": -seen,
        "seen, and corrected": -seen - mean["corrected"],
        "seen, and corrected, noisy again": -seen - mean["noisy again"],
    }


def run(instrument, sigma, seed, rounds):
    problem = Problem(instrument, sigma, seed)
    trained = [train(problem, alpha, rounds) for alpha in ALPHAS]
    errors = np.array([problem.error(B) for B in trained])
    columns = [scores_of(problem, B) for B in trained]
    below = 10 * np.log10(errors / errors.min())
    rows = {}
    for name in columns[0]:
        chosen = int(np.argmax([column[name] for column in columns]))
        rows[name] = {"alpha": ALPHAS[chosen], "dB_below_best": float(below[chosen])}
    return {"dB_below_best": below.tolist(), "scores": rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instruments", nargs="*", default=INSTRUMENTS)
    parser.add_argument("--noise", nargs="*", type=float, default=[0.1, 0.2, 0.5])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--rounds", type=int, default=12)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    result = _record.read(NAME) | {"machine": _record.machine(), "alphas": ALPHAS}
    runs = result.setdefault("runs", {})
    cases = itertools.product(options.instruments, options.noise, options.seeds)
    for instrument, sigma, seed in cases:
        key = f"{instrument} | {sigma:g} | {seed}"
        if key in runs:
            continue
        runs[key] = run(instrument, sigma, seed, options.rounds)
        _record.write(NAME, result)
        print(key, np.round(runs[key]["dB_below_best"], 2), flush=True)
    names = next(iter(runs.values()))["scores"]
    result["summary"] = {
        name: [round(row["scores"][name]["dB_below_best"], 3) for row in runs.values()]
        for name in names
    }
    _record.write(NAME, result)
    for name, below in result["summary"].items():
        print(f"{name:34s} worst {max(below):.2f}, mean {np.mean(below):.2f} dB below")


if __name__ == "__main__":
    main()
