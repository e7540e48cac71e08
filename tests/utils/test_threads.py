"""Threads are chosen by what the machine has free."""

import os

import pytest

from sklearn_ei.utils import threads
from sklearn_ei.utils.threads import choose_n_threads

N_CORES = 4


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Four cores, whose idle and busy ticks a test tells."""
    stat, quota = tmp_path / "stat", tmp_path / "cpu.max"
    monkeypatch.setattr(threads, "_STAT", stat)
    monkeypatch.setattr(threads, "_QUOTA", quota)
    monkeypatch.setattr(os, "cpu_count", lambda: N_CORES)
    monkeypatch.setattr(
        os, "sched_getaffinity", lambda _: set(range(N_CORES)), raising=False
    )

    def write(busy, idle):
        lines = [
            f"cpu{i} {b} 5 0 {w} 7 0 0 0 9 9"
            for i, (b, w) in enumerate(zip(busy, idle, strict=True))
        ]
        stat.write_text(
            "\n".join(
                [f"cpu {sum(busy)} 0 0 {sum(idle)} 0 0 0 0 0 0", *lines, "ctxt 1"]
            )
        )

    def watched(busy, idle):
        """Let ticks pass while the machine is watched."""
        write([1000] * N_CORES, [5000] * N_CORES)
        after = [1000 + b for b in busy], [5000 + i for i in idle]
        monkeypatch.setattr(threads.time, "sleep", lambda _: write(*after))

    watched.quota = quota
    return watched


@pytest.mark.parametrize(
    ("busy", "expected"),
    [
        ([0, 0, 0, 0], 4),
        ([30, 0, 0, 0], 3),
        ([30, 30, 30, 0], 1),
        ([30, 30, 30, 30], 1),
        ([30, 12, 12, 0], 2),  # two thirds of two cores and a whole one are idle: 2.2
    ],
)
def test_one_thread_for_each_idle_core(machine, busy, expected):
    machine(busy, [30 - b for b in busy])
    assert choose_n_threads(N_CORES) == expected


def test_never_more_than_torch_would_take(machine):
    for most, expected in [(1, 1), (2, 2), (64, N_CORES)]:
        machine([0] * N_CORES, [30] * N_CORES)
        assert choose_n_threads(most) == expected


def test_cores_of_others_do_not_count(machine, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    machine([30, 30, 0, 0], [0, 0, 30, 30])
    assert choose_n_threads(N_CORES) == 1
    machine([0, 0, 30, 30], [30, 30, 0, 0])
    assert choose_n_threads(N_CORES) == 2


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", 4), ("200000 100000", 2), ("50000 100000", 1)],
)
def test_quota_of_a_container(machine, quota, expected):
    machine([0] * N_CORES, [30] * N_CORES)
    machine.quota.write_text(f"{quota}\n")
    assert choose_n_threads(N_CORES) == expected


@pytest.mark.parametrize(("load", "expected"), [(0.1, 4), (1.2, 3), (9.0, 1)])
def test_load_average_where_ticks_are_not_told(machine, monkeypatch, load, expected):
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0), raising=False)
    assert choose_n_threads(N_CORES) == expected


@pytest.mark.skipif(not threads._STAT.exists(), reason="needs /proc")
def test_this_machine():
    n_cores = len(os.sched_getaffinity(0))
    assert 1 <= choose_n_threads(10**6, seconds=0.02) <= n_cores
