"""Non-dominated sorting and crowding distance, on fronts made by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from autorl.outer.nsga2 import crowding, dominates, fronts, ranking

POINTS = np.array([[1.0, 5.0], [2.0, 3.0], [4.0, 1.0], [1.0, 4.0], [2.0, 1.0], [0.0, 0.0], [2.0, 3.0]])
some_points = arrays(
    np.float64, st.tuples(st.integers(1, 12), st.integers(1, 3)), elements=st.integers(0, 5).map(float)
)


def test_fronts_by_hand() -> None:
    assert fronts(POINTS).tolist() == [0, 0, 0, 1, 1, 2, 0]


def test_domination_is_strict() -> None:
    above = dominates(POINTS)
    assert not above.diagonal().any()
    assert above[0, 3]
    assert not above[1, 6], "equal points do not dominate each other"


def test_crowding_by_hand() -> None:
    line = np.array([[0.0, 4.0], [1.0, 3.0], [2.0, 1.0], [4.0, 0.0]])
    inner_one = (2 - 0) / 4 + (4 - 1) / 4
    inner_two = (4 - 1) / 4 + (3 - 0) / 4
    assert crowding(line).tolist() == [np.inf, inner_one, inner_two, np.inf]


def test_an_objective_in_which_all_agree_adds_nothing() -> None:
    assert crowding(np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])).tolist() == [np.inf, 1.0, np.inf]
    assert crowding(np.ones((3, 2))).tolist() == [0.0, 0.0, 0.0]


def test_ranking_prefers_fronts_and_then_room() -> None:
    points = np.array([[0.0, 4.0], [1.0, 3.0], [1.1, 2.9], [2.0, 2.0], [4.0, 0.0], [0.0, 0.0]])
    assert ranking(points) == [0, 4, 3, 1, 2, 5]
    assert ranking(np.zeros((0, 2))) == []


@given(some_points)
def test_fronts_are_what_their_definition_says(points: np.ndarray) -> None:
    found, above = fronts(points), dominates(points)
    for i in range(len(points)):
        dominators = found[above[:, i]]
        assert found[i] == (dominators.max() + 1 if len(dominators) else 0)
    order = ranking(points)
    assert sorted(order) == list(range(len(points)))
    assert [int(found[i]) for i in order] == sorted(found.tolist())


@given(some_points, st.integers(-9, 9))
def test_ranking_does_not_depend_on_scale(points: np.ndarray, exponent: int) -> None:
    scaled = np.ldexp(points, exponent)
    assert ranking(scaled) == ranking(points)
