"""Heat maps as few paths: every cell where it belongs, in the colour that a bar says it has."""

import numpy as np
import pytest

from autorl.analysis.heat_map import heat_map
from autorl.analysis.style import new_figure

X, Y = [0.0, 1.0, 3.0, 4.0], [0.1, 1.0, 10.0]
VALUES = np.array([[1.0, 1.0, np.nan], [3.0, 2.0, 1.0]])


def colour_at(axis, x, y):
    """The colour on a place; None where there is none."""
    found = [patch.get_facecolor() for patch in axis.patches if patch.get_path().contains_point((x, y))]
    assert len(found) <= 1, "cells do not overlap"
    return found[0] if found else None


def test_every_cell_has_the_colour_of_its_value():
    _, (axis,) = new_figure(2)
    bar = heat_map(axis, X, Y, VALUES)
    assert (bar.norm.vmin, bar.norm.vmax) == (1.0, 3.0)
    for r, y in enumerate((0.5, 5.0)):
        for c, x in enumerate((0.5, 2.0, 3.5)):
            value = VALUES[r, c]
            assert colour_at(axis, x, y) == (None if np.isnan(value) else pytest.approx(bar.to_rgba(value)))
    assert len(axis.patches) == 3, "a path a colour"
    assert axis.get_xlim() == (0.0, 4.0)
    assert axis.get_ylim() == (0.1, 10.0)


def test_limits_are_shared_and_one_value_or_none_is_drawn_too():
    _, axes = new_figure(2, 1, 3)
    bar = heat_map(axes[0], X, Y, VALUES, (0.0, 100.0))
    assert (bar.norm.vmin, bar.norm.vmax) == (0.0, 100.0)
    assert len(axes[0].patches) == 1
    assert heat_map(axes[1], X, Y, np.full((2, 3), 7.0)).norm(7.0) == 0.5
    heat_map(axes[2], X, Y, np.full((2, 3), np.nan))
    assert not axes[2].patches
