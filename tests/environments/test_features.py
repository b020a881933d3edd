"""Features of tasks: values on a linear and on a log scale, and whose scale is which."""

import numpy as np
import pytest

from autorl.environments.features import Feature
from autorl.environments.registry import make_environment
from autorl.environments.task_points import task_points


def test_parts_are_read_on_the_scale_of_the_feature():
    np.testing.assert_allclose(Feature("x", -2.0, 6.0).at([-0.5, 0.0, 0.25, 1.0]), [-6.0, -2.0, 0.0, 6.0])
    np.testing.assert_allclose(
        Feature("x", 0.1, 1000.0, log=True).at([-0.25, 0.0, 0.5, 1.0]), [0.01, 0.1, 10.0, 1000.0]
    )


@pytest.mark.parametrize("vary", [None, {"length": None, "gravity": (1.0, 2.0)}])
def test_the_features_of_a_box_are_its_dimensions_as_tasks_are_made_from_points(vary):
    environment = make_environment("contextual:CartPole-wide")
    points = task_points(environment, vary)
    assert any(one.log for one in points.features)
    for part in (0.1, 0.5, 0.9):
        task = points.task(environment.default_task(), np.full(points.dimensions, part, np.float32))
        for one in points.features:
            assert float(np.asarray(task[one.name])) == pytest.approx(float(one.at(part)), rel=1e-5), one.name


def test_levels_are_counted():
    points = make_environment("maze:9x9").task_points
    assert [(one.name, one.log) for one in points.features] == [("walls", False), ("distance", False)]


def test_whole_numbers_are_described_as_they_are_played():
    environment = make_environment("lpg:rand_dense")
    points = task_points(environment)
    whole = [i for i, one in enumerate(points.features) if one.whole]
    assert whole
    for part in np.linspace(0.0, 1.0, 9, dtype=np.float32):
        point = np.full(points.dimensions, part)
        task = points.box.point(points.task(environment.default_task(), point))
        described = np.asarray(points.described(point))
        for i, one in enumerate(points.features):
            assert float(one.at(described[i])) == pytest.approx(float(task[i]), abs=1e-3 * (one.high - one.low))
