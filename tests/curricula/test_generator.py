"""Tasks of a generator whose settings are bounded: mazes by their number of walls, boxes by their coordinates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.curricula.course import teacher_for
from autorl.curricula.tasks import TaskSpace
from autorl.curricula.teachers import make_teacher
from autorl.environments.maze.level import is_valid
from autorl.environments.registry import make_environment
from autorl.environments.task_points import Generated, task_points
from autorl.errors import UsageError
from autorl.spaces.files import load_space
from autorl.studies.problems import SpecificationError
from autorl.studies.specification import from_mapping

MAZE = make_environment("maze:9x9")
POINTS = task_points(MAZE)


@jax.jit
def levels(params):
    teacher = teacher_for("generator", POINTS)
    tasks = teacher.propose(params, teacher.init(jax.random.key(0), params), jax.random.key(1), 400).tasks
    made = jax.vmap(lambda point: POINTS.task(MAZE.default_task(), point))(tasks)
    return jnp.sum(made["walls"], axis=(1, 2)), jax.vmap(is_valid)(made)


@pytest.mark.parametrize(
    ("values", "least", "most"),
    [({}, 0, 40), ({"least": 0.5, "spread": 0.5}, 20, 30), ({"least": [0.25], "spread": [0.0]}, 10, 10)],
)
def test_mazes_have_as_many_walls_as_the_settings_say(values, least, most):
    assert isinstance(POINTS, Generated)
    walls, valid = levels(teacher_for("generator", POINTS).parameters(values))
    assert valid.all()
    assert (int(walls.min()), int(walls.max())) == (least, most)
    assert np.mean(walls) == pytest.approx((least + most) / 2, abs=1.5)
    assert levels._cache_size() == 1, "bounds are data of one program"


def test_the_settings_of_a_box_are_its_coordinates():
    teacher = make_teacher("generator", TaskSpace((0.0, 10.0), (1.0, 30.0)))
    params = teacher.parameters({"least": [0.5, 0.0], "spread": [1.0, 0.1]})
    tasks = np.asarray(teacher.propose(params, teacher.init(jax.random.key(0), params), jax.random.key(1), 500).tasks)
    np.testing.assert_allclose(tasks.min(axis=0), [0.5, 10.0], atol=0.05)
    np.testing.assert_allclose(tasks.max(axis=0), [1.0, 12.0], atol=0.05)
    with pytest.raises(UsageError, match=r"teacher 'generator': least: expected one number or shape \[2\]"):
        teacher.parameters({"least": [0.1, 0.2, 0.3]})


def test_the_bounds_are_searched_by_a_shipped_space():
    experiment = {
        "environment": {"id": "maze:9x9", "tasks": {"held_out": 10}},
        "learner": "ppo",
        "teacher": "generator",
        "search": {"space": "curriculum_generator", "method": "tpe"},
        "budget": {"trainings": 4, "env_steps": 4096},
        "evaluation": {"episodes": 20},
    }
    assert list(load_space(from_mapping(experiment).search.space).searched) == [
        "teacher.generator.least.0",
        "teacher.generator.spread.0",
    ]
    with pytest.raises(SpecificationError, match=r"dimension 'teacher\.generator\.least\.0' is of a teacher"):
        from_mapping({**experiment, "teacher": "uniform"})
