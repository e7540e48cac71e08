from sklearn_ei.utils.spread import spread


def test_spread_elements_differ_and_are_nested():
    for order in (1, 2, 7, 90, 360, 65536):
        few, more = spread(order, 4), spread(order, 16)
        assert more[: len(few)] == few
        assert len(set(more)) == len(more) == min(order, 16)
        assert few[0] == 0
        assert max(more) < order
    assert sorted(spread(101, 101)) == list(range(101))
