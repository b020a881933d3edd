"""Coordinates of an evolution strategy: centre, spread, and the mirror at the bounds."""

from __future__ import annotations

import numpy as np
import pytest

from autorl.outer.coordinates import CUBE_STD, Coordinates, reflect
from autorl.spaces import ArraySpace, Float, HyperparameterSpace, ProductSpace

CUBE = HyperparameterSpace("cube", {f"x{i}": Float(0.0, 1.0) for i in range(4)})


def test_arrays_begin_with_the_spread_of_their_space():
    wide = ArraySpace({"a": (2000,)}, init_scale=3.0)
    space = ProductSpace({"narrow": ArraySpace({"a": (2000,)}, init_scale=0.01), "cube": CUBE, "wide": wide})
    coordinates = Coordinates(space, key=0)
    assert coordinates.std == CUBE_STD
    at_centre = coordinates.decode(np.zeros(coordinates.size, np.float32))
    moved = coordinates.decode(np.full(coordinates.size, CUBE_STD, np.float32))
    assert list(at_centre["cube"].values()) == [0.5] * 4
    np.testing.assert_allclose(list(moved["cube"].values()), 0.7, rtol=1e-6)
    for part, scale in (("narrow", 0.01), ("wide", 3.0)):
        np.testing.assert_allclose(moved[part]["a"] - at_centre[part]["a"], scale, rtol=1e-3)
        assert np.std(at_centre[part]["a"]) == pytest.approx(scale, rel=0.1)
    assert Coordinates(wide, key=0).std == 3.0
    assert Coordinates(wide, key=0, std=0.5).std == 0.5


def test_reflection_by_hand():
    given = np.array([-0.25, 0.0, 0.4, 1.0, 1.25, 2.0, 2.25, -1.5, 7.75])
    np.testing.assert_allclose(reflect(given), [0.25, 0.0, 0.4, 1.0, 0.75, 0.0, 0.25, 0.5, 0.25])


def test_first_points_fill_the_cube():
    space = ProductSpace({"cube": CUBE, "arrays": ArraySpace({"w": (2, 5)})})
    spread = Coordinates(space, key=0).spread(3, 4000)
    assert spread.dtype == np.float32
    assert np.abs(spread[:, :4]).max() <= 0.5
    np.testing.assert_allclose(spread[:, :4].std(axis=0), 12**-0.5, rtol=0.05)
    np.testing.assert_allclose(spread[:, 4:].std(axis=0), CUBE_STD, rtol=0.1)
