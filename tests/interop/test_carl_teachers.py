"""Teachers of ours as context selectors of CARL. With CARL's own classes where it is installed."""

import sys

import foreign
import gymnasium
import numpy as np
import pytest

from autorl.errors import MissingDependencyError, UsageError
from autorl.interop import carl

PENDULUM = "contextual:Pendulum-v1"
SCALE = (-1600.0, 0.0)
SELECTOR = "autorl.interop.carl.selector"


@pytest.fixture
def pendulum(monkeypatch):
    """CARLPendulum, or a stand-in for it."""
    envs = foreign.installed("carl.envs")
    if envs is not None:
        return envs.CARLPendulum
    selection = {"AbstractSelector": foreign.AbstractSelector}
    foreign.put(monkeypatch, {"carl": {}, "carl.context": {}, "carl.context.selection": selection}, [SELECTOR])
    return foreign.ContextualPendulum


def episode(env, steps=200):
    env.reset(seed=1)
    gravity, ended = env.unwrapped.g, False
    for _ in range(steps):
        _, _, terminated, truncated, _ = env.step(np.zeros(1, np.float32))
        ended = terminated or truncated
    return gravity, ended


def test_an_environment_of_carl_plays_what_a_teacher_proposes(pendulum):
    selector = carl.teacher_selector(PENDULUM, "uniform", vary={"g": (4.0, 12.0)}, score_range=SCALE, seed=5)
    env = carl.told(pendulum(context_selector=selector))
    heard = []
    tell = selector.tutor.tell
    selector.tutor.tell = lambda points, **told: (heard.append((np.array(points), told)), tell(points, **told))
    played = [episode(env) for _ in range(4)]
    assert all(ended for _, ended in played)
    gravities = [gravity for gravity, _ in played]
    assert len(set(gravities)) == 4
    assert all(4.0 <= gravity <= 12.0 for gravity in gravities)
    np.testing.assert_allclose([4.0 + 8.0 * float(points[0, 0]) for points, _ in heard], gravities, rtol=1e-5)
    for _, told in heard:
        assert -1600.0 < told["returns"] < 0.0
        assert told["successes"] == pytest.approx(1.0 + told["returns"] / 1600.0)
    assert (selector.context_id, selector.context_key, list(selector.contexts)) == (3, 3, [3])
    assert set(selector.contexts[3]) >= {"g", "m", "l", "dt", "gravity"}, "whole contexts: CARL keeps what is left out"
    assert selector.learn


def test_an_episode_that_is_given_up_tells_nothing(pendulum):
    selector = carl.teacher_selector(PENDULUM, "sfl", {"candidates": 4, "kept": 2}, vary={"g": None}, score_range=SCALE)
    env = carl.told(pendulum(context_selector=selector))
    told = []
    selector.tutor.tell = lambda points, **channels: told.append(channels)
    episode(env, steps=3)
    assert not selector.learn, "sampling for learnability first looks at tasks"
    episode(env, steps=3)
    assert [sorted(one) for one in told] == [["returns", "successes"]]
    assert all(np.isnan(value) for value in told[0].values())
    selector.ended(-800.0)
    assert told[-1] == {"returns": -800.0, "successes": 0.5}
    with pytest.raises(UsageError, match="no episode is under way"):
        selector.ended(-800.0)


def test_channels_beyond_returns_can_be_told(pendulum):
    selector = carl.teacher_selector(
        PENDULUM, "space", {"instances": 4, "period": 2}, vary={"g": None}, score_range=SCALE
    )
    selector.select()
    with pytest.raises(UsageError, match="it needs 'values', which was not measured"):
        selector.ended(-800.0)
    selector.ended(-800.0, values=-700.0)
    environment = gymnasium.make("Pendulum-v1")
    environment.unwrapped.context_selector = selector
    with pytest.raises(
        UsageError, match=r"'space' needs 'values', and this tells returns and successes alone. Remedy: tell"
    ):
        carl.told(environment)
    assert int(selector.tutor.state.seen.sum()) == 1


def test_what_cannot_select(pendulum):
    with pytest.raises(UsageError, match="unknown task dimension 'gee'"):
        carl.teacher_selector(PENDULUM, "uniform", vary={"gee": None}, score_range=SCALE)
    with pytest.raises(UsageError, match="score_range: expected finite"):
        carl.teacher_selector(PENDULUM, "uniform", score_range=(0.0, float("inf")))
    with pytest.raises(UsageError, match="it has NoneType"):
        carl.told(gymnasium.make("Pendulum-v1"))


def test_without_carl_there_is_one_error(monkeypatch):
    foreign.put(monkeypatch, {}, [SELECTOR])
    for name in ("carl", "carl.context", "carl.context.selection"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        MissingDependencyError, match=r"CARL is not installed .* Remedy: pip install .*--no-deps carl-bench"
    ):
        carl.teacher_selector(PENDULUM, "uniform", score_range=SCALE)
