"""What tells one training from another."""

import enum
import functools
import json
import os
import subprocess
import sys
import textwrap
import types
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse
from skorch.callbacks import Callback

from sklearn_ei.groups import Rotations
from sklearn_ei.operators import Inpainting, ODLOperator
from sklearn_ei.training import fingerprint
from sklearn_ei.utils.layout import Layout
from sklearn_ei.utils.stack import LazyStack, LazyTensor
from tests.cases import OPERATORS


def digest(value):
    return fingerprint({"it": value}, {})["it"]


MATRIX = np.array([[0.0, 2.0], [3.0, 0.0]])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (2e-3, np.float64(2e-3)),
        (0.5, np.float32(0.5)),
        (0.5, Fraction(1, 2)),
        (3, np.int64(3)),
        (3, np.uint8(3)),
        (3, 3.0),
        (0.0, -0.0),
        (True, np.True_),
        (False, 0),
        ("a", np.str_("a")),
        ((1, 2), [1, 2]),
        ((1, 2), range(1, 3)),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1.0}),
        ({"x", "y", 3}, frozenset({3, "y", "x"})),
        (np.arange(3.0), np.arange(3.0).astype(">f8")),
        (np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3))),
        (sparse.csr_array(MATRIX), sparse.coo_matrix(MATRIX)),
        (sparse.csr_array(MATRIX), sparse.csc_array(MATRIX)),
        (torch.ones(2, 3), torch.ones(3, 2).T),
        (Inpainting(0.3), Inpainting(np.float64(0.3))),
        (Path("a") / "b", Path("a/b")),
        (partial(max, key=abs), partial(max, key=abs)),
    ],
)
def test_equal_is_equal(one, other):
    assert digest(one) == digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (2e-3, np.float32(2e-3)),  # another number
        (1, "1"),
        (None, "None"),
        (None, False),
        ("a", b"a"),
        (["ab", "c"], ["a", "bc"]),
        ([1, [2]], [1, 2]),
        ({"a": 1}, {"a": 2}),
        ({1, 2}, {1, 3}),
        (float("nan"), float("inf")),
        (np.zeros(3), np.zeros(3, np.float32)),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.array(["a", "b"]), np.array(["a", "c"])),
        (np.ma.masked_equal([1, 2], 2), np.array([1, 2])),
        (sparse.csr_array((2, 3)), sparse.csr_array((2, 4))),
        (torch.zeros(2), torch.zeros(2, dtype=torch.bfloat16)),
        (torch.float32, torch.float64),
        (torch.from_numpy(np.empty(0)), np.empty(0)),
        (np.empty((0, 2)), np.empty((2, 0))),
        (sparse.csr_array((2, 3)), np.zeros((2, 3))),
        (Inpainting(0.3), Inpainting(0.4)),
        (Rotations(4), Rotations(8)),
        (torch.nn.HuberLoss(delta=1.0), torch.nn.HuberLoss(delta=2.0)),
        (partial(max, key=abs), partial(max, key=len)),
        (max, min),
        (torch.nn.functional.l1_loss, torch.nn.functional.mse_loss),
    ],
)
def test_different_is_different(one, other):
    assert digest(one) != digest(other)


def test_data_in_memory_and_on_disk():
    data = np.random.default_rng(0).random((5, 3, 4)).astype(np.float32)
    lazy = LazyTensor(LazyStack(data, "Y"), Layout(channels="none"))
    eager = torch.from_numpy(data)[:, None]
    digests = fingerprint({}, {"a": lazy, "b": eager, "c": eager.flip(0)})
    assert digests["a"] == digests["b"] != digests["c"]


# ------------------------------------------------------------------------ code
def made(source, name="it"):
    """Return what a user's module of that source has under a name."""
    module = types.ModuleType("script_of_a_user")
    exec(compile(textwrap.dedent(source), "script.py", "exec"), vars(module))
    return vars(module)[name]


CODE = {
    "constant": "def it(a, b):\n    return (a - b).abs().mean() * {}",
    "lambda": "it = lambda a, b: (a - b).abs().mean() * {}",
    "nested function": """
        def it(a, b):
            def inner(d):
                return lambda e: e * {}
            return inner(a)(b)""",
    "comprehension": "def it(a, b):\n    return [x * {} for x in a]",
    "default": "def it(a, b, delta={}):\n    return delta",
    "keyword default": "def it(a, b, *, delta={}):\n    return delta",
    "closure": """
        def make(delta):
            def it(a, b):
                return delta
            return it
        it = make({})""",
    "type of a constant": "def it(a, b):\n    return a * int('{}') if {} else 1",
    "helper": "def helper(a):\n    return a * {}\ndef it(a, b):\n    return helper(a)",
    "helper of a helper": """
        def first(a):
            return a * {}
        def second(a):
            return first(a) + 1
        def it(a, b):
            return [second(x) for x in a]""",
    "constant of the module": "DELTA = {}\ndef it(a, b):\n    return a * DELTA",
    "wraps": """
        import functools
        def decorated(f):
            @functools.wraps(f)
            def inner(*args):
                return f(*args)
            return inner
        @decorated
        def it(a, b):
            return a * {}""",
    "decorator": """
        import functools
        def decorated(f):
            @functools.wraps(f)
            def inner(*args):
                return f(*args) * {}
            return inner
        @decorated
        def it(a, b):
            return a""",
    "cached": "import functools\n@functools.lru_cache\ndef it(a):\n    return a * {}",
    "partial": """
        from functools import partial
        def loss(a, b, delta):
            return a * delta
        it = partial(loss, delta={})""",
    "partial of": """
        from functools import partial
        def loss(a, b, delta):
            return a * {}
        it = partial(loss, delta=1)""",
    "method": """
        class Loss:
            def __call__(self, a, b):
                return self.scaled(a)
            def scaled(self, a):
                return a * {}
        it = Loss()""",
    "bound method": """
        class Loss:
            def scaled(self, a, b):
                return a * {}
        it = Loss().scaled""",
    "static method": """
        class Loss:
            @staticmethod
            def __call__(a, b):
                return a * {}
        it = Loss()""",
    "property": """
        class Loss:
            @property
            def delta(self):
                return {}
            def __call__(self, a, b):
                return a * self.delta
        it = Loss()""",
    "attribute of a class": """
        class Loss:
            delta = {}
            def __call__(self, a, b):
                return a * self.delta
        it = Loss()""",
    "attribute of an instance": """
        class Loss:
            def __init__(self, delta):
                self._delta = delta
            def __call__(self, a, b):
                return a * self._delta
        it = Loss({})""",
    "slots": """
        class Loss:
            __slots__ = ("__delta",)
            def __init__(self, delta):
                self.__delta = delta
            def __call__(self, a, b):
                return a * self.__delta
        it = Loss({})""",
    "base class": """
        class Base:
            def scaled(self, a):
                return a * {}
        class Loss(Base):
            def __call__(self, a, b):
                return self.scaled(a)
        it = Loss()""",
    "class": "class it:\n    def f(self):\n        return {}",
    "inner class": """
        def it(n_channels, n_dims):
            class Loss:
                delta = {}
            return Loss()""",
    "forward of a module": """
        import torch
        class Net(torch.nn.Module):
            def forward(self, x):
                return x * {}
        it = Net()""",
    "private setting of a module": """
        import torch
        class Net(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self._slope = {}
            def forward(self, x):
                return x * self._slope
        it = torch.nn.Sequential(Net())""",
    "hook of a module": """
        import torch
        it = torch.nn.Identity()
        it.register_forward_hook(lambda module, args, x: x * {})""",
    "buffer that is not saved": """
        import torch
        it = torch.nn.Identity()
        it.register_buffer("slope", torch.tensor(float({})), persistent=False)""",
    "frozen weights": """
        import torch
        it = torch.nn.Conv2d(1, 1, 3)
        torch.nn.init.zeros_(it.weight), torch.nn.init.zeros_(it.bias)
        it.weight.requires_grad_({} > 1)""",
    "factory": """
        import torch
        class Net(torch.nn.Module):
            def forward(self, x):
                return x * {}
        def it(n_channels, n_dims):
            return Net()""",
    "operator of a user": """
        from sklearn_ei.operators import Inpainting
        class Own(Inpainting):
            def _forward(self, x, constants):
                return x * {}
        it = Own(0.5)""",
    "handler of errors": """
        def it(a, b):
            try:
                return a / b
            except (ZeroDivisionError if {} > 1 else ValueError):
                return a""",
}


@pytest.mark.parametrize("name", CODE)
def test_changed_code_is_another_training(name):
    first, same, changed = (CODE[name].format(*[v] * 3) for v in (1, 1, 2))
    assert digest(made(first)) == digest(
        made("# a comment\n\n" + textwrap.dedent(same))
    )
    assert digest(made(first)) != digest(made(changed))


def test_the_parts_of_a_try_statement_are_told_apart():
    inside = "def it(a):\n    try:\n        a(); b()\n    except: pass"
    outside = "def it(a):\n    try:\n        a()\n    except: pass\n    b()"
    assert digest(made(inside)) != digest(made(outside))


def test_one_and_one_point_zero_differ_in_code_alone():
    integer, real = ("def it(a):\n    return a // " + n for n in ("2", "2.0"))
    assert digest(made(integer)) != digest(made(real))


def test_a_module_of_the_user_is_followed():
    digests = []
    for value in (1, 1, 2):
        module = types.ModuleType("losses_of_a_user")
        source = "def loss(a):\n    return inner(a)\ndef inner(a):\n    return {}"
        exec(source.format(value), vars(module))
        space = {"losses": module, "__name__": "script_of_a_user"}
        exec("def it(a, b):\n    return losses.loss(a)", space)
        digests.append(digest(space["it"]))
    assert digests[0] == digests[1] != digests[2]


class Color(enum.Enum):
    RED = 1
    BLUE = 2


@dataclass
class Settings:
    delta: float = 1.0


class Node:
    def __init__(self):
        self.me = self
        self.children = {1: [self]}


def recursive(n):
    return 1 if n == 0 else n * recursive(n - 1) + mutual(n)


def mutual(n):
    return recursive(n - 1)


def test_objects_of_many_kinds():
    values = [Color.RED, Color.BLUE, Settings(), Settings(2.0), Node(), recursive]
    values += [mutual, open, sys.stdout, functools.reduce, np.sin, torch.Generator()]
    digests = [digest(value) for value in values]
    assert digests == [digest(value) for value in values]
    assert len(set(digests)) == len(values)


def test_what_callbacks_count_is_no_part_of_the_training():
    """Their settings and their code are."""
    source = """
        from skorch.callbacks import Callback
        seen = []
        class it(Callback):
            n = 0
            def __init__(self, rate):
                self.rate = rate
            def on_epoch_end(self, net, **kwargs):
                it.n += {}
                seen.append(net)"""
    kind, other = made(source.format(1)), made(source.format(2))
    before = digest(kind(0.5))
    kind.n = 5
    kind.on_epoch_end.__globals__["seen"].append(3)
    assert digest(kind(0.5)) == before
    assert digest(kind(0.6)) != before
    assert digest(other(0.5)) != before
    assert digest(Callback()) == digest(Callback())


@pytest.mark.parametrize(
    "case",
    [c for c in OPERATORS if isinstance(c.operator, ODLOperator)],
    ids=lambda case: case.name,
)
def test_what_an_operator_has_computed_changes_nothing(case):
    before = digest(case.operator)
    fixed = case.operator._fixed
    channels = () if case.n_channels == 1 else (case.n_channels,)
    case.operator.measure(np.zeros((1, *fixed.image_shape, *channels)))
    assert digest(case.operator) == before


SCRIPT = """
import json
from functools import partial
from sklearn_ei.training import fingerprint
from tests.training.test_fingerprint import CODE, made

def factory(n, d, kinds=frozenset({"relu", "tanh", "gelu", "elu"})):
    return None if "relu" in {"relu", "tanh", "elu", "none"} else kinds

values = {"factory": factory, "set": {"a", "b", ("c", 1.5)}}
values |= {"partial": partial(factory, 2)}
values |= {name: made(code.format(1, 1, 1)) for name, code in CODE.items()}
print(json.dumps(fingerprint(values, {})))
"""


def test_another_process_with_another_hash_seed_agrees(capsys):
    folder = Path(__file__).parents[2]
    exec(compile(SCRIPT, "<string>", "exec"), {"__name__": "__main__"})
    here = json.loads(capsys.readouterr().out)
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(folder)}
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment,
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(run.stdout) == here
