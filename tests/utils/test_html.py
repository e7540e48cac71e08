"""What notebooks show."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn import config_context

from sklearn_ei import EquivariantReconstructor, PseudoInverseReconstructor
from sklearn_ei.groups import Reflections, Rotations, Shifts
from sklearn_ei.networks import UNet
from sklearn_ei.operators import MRI, BlockOperator, Inpainting, ParallelBeamCT
from sklearn_ei.utils.html import FactsMixin
from tests.cases import GROUPS, OPERATORS


class Cells(HTMLParser):
    """Collects the rows of the last table, and refuses tags left open."""

    def __init__(self, html):
        super().__init__()
        self.rows, self.open = [], []
        self.feed(html[html.rindex("<table>") :])
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.rows[-1].append(data)


def facts(thing):
    shown = thing._repr_mimebundle_()["text/html"]
    assert shown.count("<table>") == thing._repr_html_().count("<table>")
    return dict(Cells(shown).rows)


def test_operators_show_their_shapes():
    assert facts(ParallelBeamCT(50, image_shape=(128, 128))) == {
        "images": "128 × 128",
        "measurements": "50 × 183",
        "m / n": "9150 / 16384 = 0.558",
    }
    opened = facts(ParallelBeamCT(50))
    assert opened == dict.fromkeys(
        ("images", "measurements"), "open until the data is seen"
    )
    # Lost pixels and unmeasured lines are no measurements.
    assert facts(Inpainting(0.3, (10, 10)))["m / n"] == "70 / 100 = 0.7"
    mri = facts(MRI(image_shape=(8, 8), acceleration=2))
    assert mri["m / n"] == "64 / 128 = 0.5"
    assert mri["images"] == "8 × 8, 2 channels"
    block = BlockOperator([Inpainting(0.5, (4, 4)), Inpainting(0.25)])
    assert facts(block)["m / n"] == "20 / 16 = 1.25"


def test_groups_show_their_order_and_whether_they_are_exact():
    assert facts(Rotations(360).resolve((8, 8))) == {
        "elements |G|": "360",
        "action": "interpolated",
        "images": "8 × 8",
    }
    assert facts(Rotations(4) * Reflections())["action"].startswith("exact")
    assert facts(Shifts())["elements |G|"] == "open until the data is seen"


def test_estimators_show_those_of_their_operator_and_group(ct_problem):
    operator, _, Y = ct_problem
    ei = EquivariantReconstructor(
        operator, Rotations(360), max_epochs=1, network=UNet(2, 2), random_state=0
    )
    assert facts(ei)["measurements"] == "open until the data is seen"
    shown = facts(ei.fit(Y))
    assert shown["operator"] == "ParallelBeamCT"
    assert shown["images"] == "24 × 24"
    assert shown["elements |G|"] == "360"
    assert shown["α"] == f"{ei.alpha_:.4g}"
    assert "group" not in facts(PseudoInverseReconstructor(operator))


@pytest.mark.parametrize("case", [*OPERATORS, *GROUPS], ids=lambda case: case.name)
def test_every_operator_and_group(case):
    thing = getattr(case, "operator", None) or case.group
    assert facts(thing)
    # Completing a name does not compute anything.
    built = set(vars(thing))
    assert "resolve" in dir(thing)
    assert set(vars(thing)) == built


def test_wrong_parameters_are_no_matter_of_the_diagram():
    for wrong in (Rotations(angles="all"), ParallelBeamCT(image_shape="large")):
        shown = wrong._repr_html_()
        assert wrong._facts_html() == ""
        assert re.search(r"all|large", shown)
        assert "resolve" in dir(wrong)
    assert PseudoInverseReconstructor(None)._facts_html() == ""


def test_text_is_escaped():
    class Hostile(FactsMixin):
        def _facts(self):
            yield "<b>name</b>", "<script>alert(1)</script>"

    shown = Hostile()._facts_html()
    assert "<script" not in shown
    assert Cells(shown).rows == [["<b>name</b>", "<script>alert(1)</script>"]]
    angles = np.array(["<script>alert(1)</script>"])
    assert "<script>alert" not in Rotations(angles=angles)._repr_html_()


def test_text_display_shows_no_diagram():
    with config_context(display="text"):
        assert not hasattr(Shifts(), "_repr_html_")
        assert "text/html" not in Shifts()._repr_mimebundle_()
