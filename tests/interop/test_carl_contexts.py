"""CARL's contexts and context spaces as tasks of ours, and ours as its: plain data, of which CARL's own classes, where installed, agree."""

import importlib
import math
import types
import warnings

import numpy as np
import pytest

from autorl.environments.registry import make_environment
from autorl.environments.task_points import grid_points, task_points
from autorl.errors import UsageError
from autorl.interop import carl
from autorl.interop.carl.names import COUNTERPARTS
from autorl.studies.models import EnvironmentChoice

CARTPOLE, ACROBOT, PENDULUM = (f"contextual:{name}" for name in ("CartPole-v1", "Acrobot-v1", "Pendulum-v1"))
# what carl-bench 1.1.1 says is CARLAcrobot's default context
ACROBOT_DEFAULT = {
    "LINK_LENGTH_1": 1.0, "LINK_LENGTH_2": 1.0, "LINK_MASS_1": 1.0, "LINK_MASS_2": 1.0, "LINK_COM_POS_1": 0.5, "LINK_COM_POS_2": 0.5,
    "LINK_MOI": 1.0, "MAX_VEL_1": 12.5663706143592, "MAX_VEL_2": 28.2743338823081, "torque_noise_max": 0.0, "INITIAL_ANGLE_LOWER": -0.1,
    "INITIAL_ANGLE_UPPER": 0.1, "INITIAL_VELOCITY_LOWER": -0.1, "INITIAL_VELOCITY_UPPER": 0.1,
}  # fmt: skip


def uniform(name, lower, upper, default=1.0, log=False, integer=False):
    """A feature with the attributes of ConfigSpace 1.2's."""
    kind = type("UniformIntegerHyperparameter" if integer else "UniformFloatHyperparameter", (), {})
    feature = kind()
    vars(feature).update(name=name, lower=lower, upper=upper, default_value=default, log=log)
    return feature


def test_contexts_become_tasks_under_either_name():
    contexts = {"easy": {"LINK_MASS_1": 2.0, "LINK_LENGTH_2": 1.0}, 7: {"link_mass_1": np.float64(0.5)}, "as it is": {}}
    assert carl.overrides_from_contexts(ACROBOT, contexts) == {
        "easy": {"link_mass_1": 2.0},
        7: {"link_mass_1": 0.5},
        "as it is": {},
    }
    tasks = carl.tasks_from_contexts(f"{ACROBOT}-visible", list(contexts.values()))
    default = make_environment(ACROBOT).default_task()
    assert list(tasks) == [0, 1, 2]
    assert tasks[0] == {**default, "link_mass_1": np.float32(2.0)}
    assert tasks[2] == default
    assert carl.overrides_from_contexts(ACROBOT, [ACROBOT_DEFAULT]) == {0: {}}


def test_written_contexts_are_whole_and_go_back():
    written = carl.contexts_from_tasks(ACROBOT, [{}, {"max_vel_1": 40 * math.pi, "link_com_pos_1": 0.1}])
    assert written[0] == ACROBOT_DEFAULT
    assert list(written[0]) == list(ACROBOT_DEFAULT)
    assert (written[1]["LINK_COM_POS_1"], written[1]["MAX_VEL_1"]) == (0.1, 125.6637061435917)
    back = carl.tasks_from_contexts(ACROBOT, written)
    assert back[1]["max_vel_1"] == np.float32(40 * math.pi)
    assert carl.contexts_from_tasks(ACROBOT, back) == written


def test_what_a_teacher_proposes_is_what_the_environment_would_play():
    points = np.array([[0.0, 1.0], [0.25, 0.5]], np.float32)
    contexts = carl.contexts_at(CARTPOLE, points, {"gravity": (2.0, 10.0), "length": None})
    # gravity by differences, length by ratios of its own range, .05 to 5
    assert [round(c["gravity"], 5) for c in contexts.values()] == [2.0, 4.0]
    assert [round(c["length"], 5) for c in contexts.values()] == [5.0, 0.5]
    box = carl.box_from_space(CARTPOLE, [uniform("length", 1.0, 2.0)])
    assert carl.contexts_at(CARTPOLE, [[0.5]], box)[0]["length"] == 1.5


@pytest.mark.parametrize("points", [[[0.5, 0.5]], [0.5], [[1.5]], [[math.nan]]])
def test_points_that_are_none(points):
    with pytest.raises(UsageError, match=r"points: expected \[N, 1\] within \[0, 1\], got shape"):
        carl.contexts_at(CARTPOLE, points, {"length": None})


def test_held_out_tasks_are_those_of_a_study():
    tasks = {"vary": {"length": [0.1, 1.0], "masspole": None}, "grid": 2}
    contexts = carl.held_out_contexts({"id": CARTPOLE, "task": {"gravity": 5.0}, "tasks": tasks})
    environment = make_environment(CARTPOLE)
    points = task_points(environment, {"length": (0.1, 1.0), "masspole": None})
    assert list(contexts.values()) == [
        {**c, "gravity": 5.0} for c in carl.contexts_at(environment, grid_points(points, 2), points.box).values()
    ]
    assert [(c["length"], c["masspole"]) for c in contexts.values()] == [(0.1, 0.01), (0.1, 1), (1, 0.01), (1, 1)]
    drawn = [carl.held_out_contexts({"id": CARTPOLE, "tasks": {"held_out": 3, "seed": seed}}) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    named = carl.held_out_contexts({"id": CARTPOLE, "tasks": {"named": [{"tau": 0.1}]}})
    assert named == carl.contexts_from_tasks(CARTPOLE, [{"tau": 0.1}])
    for wrong, words in (({}, "expected one of held_out, grid and named"), ({"grid": "x"}, "grid")):
        with pytest.raises(UsageError, match=words):
            carl.held_out_contexts({"id": CARTPOLE, "tasks": wrong})


@pytest.mark.parametrize(
    ("context", "words"),
    [
        ({"LINK_MOY": 1.0}, "unknown feature 'LINK_MOY'. Did you mean 'LINK_MOI'?"),
        ({"LINK_LENGTH_2": 2.0}, "'LINK_LENGTH_2' changes nothing in CARLAcrobot; leave it out"),
        ({"LINK_MOI": 1.0, "link_moi": 2.0}, "'link_moi' has two values"),
        ({"LINK_MOI": "heavy"}, "link_moi: expected a number, got 'heavy'"),
        ({"LINK_MOI": True}, "link_moi: expected a number, got True"),
        ({"LINK_MOI": math.inf}, "link_moi: expected a finite number, got inf"),
        ({"LINK_MASS_1": 11.0}, "link_mass_1: expected a number from 0.1 to 10, got 11"),
        ({"torque_noise_max": -1.0}, "torque_noise_max: expected a number from 0 to 1, got -1"),
        (3, "expected a mapping of features to numbers, got 3"),
    ],
)
def test_contexts_that_cannot_be(context, words):
    with pytest.raises(UsageError) as raised:
        carl.tasks_from_contexts(ACROBOT, {"a": {}, "b": context})
    assert str(raised.value).startswith("context 'b': ")
    assert words in str(raised.value)


def test_errors_list_the_first_few():
    with pytest.raises(UsageError, match=r"context 4: .*; and 15 more$"):
        carl.tasks_from_contexts(CARTPOLE, [{"x": 1}] * 20)
    with pytest.raises(UsageError, match="'gravity' changes nothing in CARLPendulum; vary 'g' instead"):
        carl.tasks_from_contexts(PENDULUM, [{"gravity": 9.0}])
    with pytest.raises(UsageError, match=r"task 0: length: expected a number from 0\.05 to 5, got 9, by CARL's limits"):
        carl.contexts_from_tasks("contextual:CartPole-wide", [{"length": 9.0}])
    with pytest.raises(UsageError, match="'gymnax:CartPole-v1' has no counterpart in CARL; there is one of contextual"):
        carl.contexts_from_tasks("gymnax:CartPole-v1", [{}])
    with pytest.raises(UsageError, match="contexts: expected a mapping of ids or a sequence, got int"):
        carl.tasks_from_contexts(CARTPOLE, 3)


def test_ranges_are_read_off_features_in_every_form():
    features = [uniform("length", 0.1, 1.0, log=True), uniform("masscart", 1, 4, integer=True)]
    named = {one.name: one for one in features}
    json = {
        "hyperparameters": [
            {"type": "uniform_float", "name": "length", "lower": 0.1, "upper": 1.0, "log": True, "default_value": 1.0},
            {"type": "uniform_int", "name": "masscart", "lower": 1, "upper": 4, "log": False},
        ]
    }
    for space in (features, named, types.SimpleNamespace(context_space=named), json):
        assert carl.vary_from_space(CARTPOLE, space) == {"length": (0.1, 1.0), "masscart": (1.0, 4.0)}
        length, masscart = carl.box_from_space(CARTPOLE, space).dimensions
        assert (length.log, length.whole, masscart.log, masscart.whole) == (True, False, False, True)
    assert carl.vary_from_space(CARTPOLE, [uniform("gravity", 0.1, math.inf)]) == {"gravity": None}
    ranges = carl.vary_from_space(CARTPOLE, features)
    choice = EnvironmentChoice.model_validate({"id": CARTPOLE, "tasks": {"vary": ranges, "grid": 2}})
    assert choice.tasks.vary == ranges, "an experiment takes them as they are"


def test_all_of_a_context_space_is_taken_but_what_makes_no_sense_here():
    there = {"LINK_LENGTH_2": uniform("LINK_LENGTH_2", 0.1, 10), "torque_noise_max": uniform("torque_noise_max", -1, 1)}
    assert carl.vary_from_space(ACROBOT, types.SimpleNamespace(context_space=there)) == {"torque_noise_max": (0.0, 1)}
    with pytest.raises(UsageError, match=r"'LINK_LENGTH_2' changes nothing.*'torque_noise_max': .*within"):
        carl.vary_from_space(ACROBOT, there)


@pytest.mark.parametrize(
    ("feature", "words"),
    [
        (types.SimpleNamespace(name="length", choices=(1, 2)), "it is categorical"),
        (types.SimpleNamespace(name="length", mu=1.0, sigma=0.1, lower=0.1, upper=2.0), "distribution is 'normal'"),
        (uniform("width", 0, 1), "unknown feature 'width'"),
        (uniform("length", 1.0, math.inf), "has an end that no teacher reaches"),
        (uniform("length", 0.01, 1.0), "within \\[0.05, 5.0\\]"),
        (uniform("length", None, 1.0), "expected numbers lower and upper, got None and 1.0"),
        (uniform("length", 1.0, 1.0), "expected finite low < high"),
    ],
)
def test_features_that_are_no_range(feature, words):
    with pytest.raises(UsageError, match=f"^feature '{feature.name}': .*{words}"):
        carl.vary_from_space(CARTPOLE, [feature])


def test_spaces_that_are_none():
    with pytest.raises(UsageError, match="context space: it has no feature"):
        carl.vary_from_space(CARTPOLE, {})
    with pytest.raises(UsageError, match="context space: expected CARL's ContextSpace"):
        carl.vary_from_space(CARTPOLE, 3)


@pytest.mark.parametrize("name", list(COUNTERPARTS))
def test_carl_itself_has_these_features_limits_and_defaults(name):
    pytest.importorskip("ConfigSpace")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        envs = pytest.importorskip("carl.envs")
    space = getattr(envs, COUNTERPARTS[name].cls).get_context_space()
    importlib.import_module("carl.context.context_space")
    (written,) = carl.contexts_from_tasks(f"contextual:{name}", [{}]).values()
    assert written == space.get_default_context()
    assert list(written) == space.context_feature_names
    box = carl.box_from_space(f"contextual:{name}", space)
    corners = np.stack([np.zeros(len(box.names)), np.ones(len(box.names))])
    assert all(space.verify_context(c) for c in carl.contexts_at(f"contextual:{name}", corners, box).values())
    for ours, limit in COUNTERPARTS[name].limits.items():
        feature = next(one for key, one in space.context_space.items() if key.lower() == ours)
        if ours != "torque_noise_max":
            assert (feature.lower, feature.upper) == pytest.approx((limit.least, limit.greatest), rel=1e-12)
