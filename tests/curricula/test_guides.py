"""Teachers of starts that follow a guide: jump-start and snapshots, in a corridor whose every way is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from corridor import CORRIDOR, COUNT, END, ONWARDS, begun, course, rollout

from autorl.errors import UsageError
from autorl.inner.teaching import taught_step


def test_a_guide_is_played_to_its_end():
    guide = course("jump_start", guide=ONWARDS, trajectories=2).guide
    assert guide.alive.tolist() == [END, END]
    np.testing.assert_allclose(guide.returns, [1 - 0.1 * END] * 2, rtol=1e-4)
    places = np.flatnonzero(guide.archive.filled)
    assert places.tolist() == [*range(END), *range(20, 20 + END)]
    assert guide.archive.reached.state.position[places].tolist() == [*range(END)] * 2
    assert guide.archive.lengths[places].tolist() == [*range(END)] * 2
    np.testing.assert_allclose(guide.archive.scores[places], -0.1 * np.array([*range(END)] * 2), atol=1e-5)


@pytest.mark.slow
def test_the_guide_does_less_while_the_agent_keeps_up():
    jump = course("jump_start", guide=ONWARDS, trajectories=2, stages=4, episodes=2, tolerance=0.3)
    state, update = jump.init(jax.random.key(0)), jax.jit(jump.update)
    assert float(state.best) == pytest.approx(-0.2, abs=1e-5), "the guide's own"
    lengths = lambda: np.asarray(jump.propose(state, jax.random.key(1), 6)[0][:, 2])  # noqa: E731
    points = lambda: jump.propose(state, jax.random.key(1), 2)[0]  # noqa: E731

    def told(*scores):
        whole = points()
        begun = jump.begun(state, whole, jnp.full(2, True))
        return update(begun, whole, {"returns": jnp.asarray(scores, jnp.float32) - whole[:, 3]})

    for steps in (9, 6):
        np.testing.assert_array_equal(lengths(), steps)
        state = told(-0.4, -0.7)
        np.testing.assert_array_equal(lengths(), steps, "a mean of -0.55 is too little")
        state = told(-0.45, np.nan)
        np.testing.assert_array_equal(lengths(), steps - 3, "what paid no number is left out of a mean of -0.45")
    state = told(0.4, 0.6)
    assert float(state.best) == pytest.approx(0.5)
    starts = np.asarray(jump.propose(state, jax.random.key(1), 6)[0])
    assert not starts[:, [0, 2, 3]].any(), "the last stage is without a guide"
    assert int(told(0.5, 0.5).stage) == 3


def test_episodes_of_a_stage_that_is_over_count_for_no_other():
    jump = course("jump_start", guide=ONWARDS, trajectories=2, stages=4, episodes=2, tolerance=0.3)
    state, update = jump.init(jax.random.key(0)), jax.jit(jump.update)
    played = jump.propose(state, jax.random.key(1), 2)[0]
    good = {"returns": 2.0 - played[:, 3]}
    both = jnp.full(2, True)
    state = jump.begun(state, played, both)
    for _ in range(3):  # a rollout's episodes are told in several parts
        state = update(state, played, good)
    assert int(state.stage) == 1
    played = jump.propose(state, jax.random.key(2), 2)[0]
    assert int(update(jump.begun(state, played, both), played, {"returns": jnp.full(2, 3.0)}).stage) == 2


@pytest.mark.slow
def test_snapshots_of_rare_kinds_are_as_likely_as_others_and_fade():
    snapshots = course("snapshots", guide=f"{__name__}:loitering", trajectories=4, classes=2, restored=1.0, fade=100)
    state = snapshots.init(jax.random.key(0))
    where = np.asarray(state.archive.reached.state.position)
    held = np.asarray(state.archive.filled)
    assert (where[held] == 0).mean() > 0.5, "else no kind is rare"
    weights = np.asarray(state.weights)
    assert weights[~held].sum() == 0
    np.testing.assert_allclose(weights.sum(), 2.0, rtol=1e-5)
    groups = {round(float(w), 6): set(where[held & (np.abs(weights - w) < 1e-6)].tolist()) for w in set(weights[held])}
    (near, far) = sorted(groups.values(), key=min)
    assert max(near) < min(far), "two kinds: near the start, and far from it"
    propose = jax.jit(snapshots.propose, static_argnums=2)
    assert propose(state, jax.random.key(1), 400)[0][:, 0].all()
    later = snapshots.update(state, propose(state, jax.random.key(1), 60)[0], {"returns": jnp.zeros(60)})
    assert float(propose(later, jax.random.key(2), 400)[0][:, 0].mean()) == pytest.approx(0.4, abs=0.08)


def loitering(observation, key):
    """Stay at the start for a while, in half of all steps."""
    return jnp.where(observation[0] > 0, 1, jax.random.bernoulli(key, 0.1).astype(jnp.int32))


def strange(observation, key):
    """Take an action that there is not."""
    return jnp.int32(7)


def thoughtless(mistaken):
    """Take one argument where a policy is given two."""


@pytest.mark.parametrize(
    ("guide", "message"),
    [
        ("", "teacher 'jump_start': guide: expected 'module:attribute'"),
        ("no_such_module:policy", "guide: no module named 'no_such_module'"),
        ("corridor:END", "guide: expected a function"),
        (f"{__name__}:thoughtless", "guide: it cannot act in 'test:corridor'"),
        (f"{__name__}:strange", "guide: expected an integer from 0 to 1, an action of 'test:corridor', got 7"),
    ],
)
def test_a_guide_that_cannot_guide_is_refused(guide, message):
    with pytest.raises(UsageError, match=message):
        course("jump_start", guide=guide, trajectories=1)


@pytest.mark.slow
def test_episodes_from_snapshots_are_truncated_and_others_are_not():
    cut = course("snapshots", guide=ONWARDS, trajectories=2, classes=1, restored=0.5, fade=10**6, truncate=3)
    now, ages = begun(cut), {True: [], False: []}
    age = np.zeros(COUNT, int)
    for turn in range(12):
        now, (played, done, *_) = rollout(cut, now, jax.random.key(turn))
        for restored, over in zip(np.asarray(played.points[..., 0]) > 0.5, np.asarray(done), strict=True):
            age += 1
            for place in np.flatnonzero(over):
                ages[bool(restored[place])].append(int(age[place]))
            age[over] = 0
    assert len(ages[True]) > 30
    assert max(ages[True]) == 3, "also those that began in one rollout and go on in the next"
    assert ages[True].count(3) > 0.7 * len(ages[True]), "the others were at the end, or out of time, before"
    assert max(ages[False]) == 20, "the environment's own time limit"


def test_only_snapshots_cut_episodes_short():
    for name in ("jump_start", "go_explore", "roll_in"):
        one = course(name, **({"guide": ONWARDS, "trajectories": 1} if name == "jump_start" else {}))
        assert one.limits(jnp.zeros((2, one.dimensions))) is None


def test_what_was_cut_short_is_truncated_and_what_ended_there_is_terminated():
    cut = course("snapshots", guide=ONWARDS, trajectories=1, restored=1.0, truncate=1)
    lessons, _, states, _ = begun(cut)
    at = jnp.array([2, END - 1, 5, 3])
    states = states._replace(position=at, time=at)
    lessons = lessons._replace(
        desk=lessons.desk._replace(points=lessons.desk.points.at[:, 0].set(jnp.array([1, 1, 0, 1])))
    )
    on = jnp.ones(COUNT, jnp.int32)
    keys = jax.random.split(jax.random.key(0), COUNT)
    step, *_ = jax.jit(lambda c, *now: taught_step(c, CORRIDOR, keys, now[0], on, CORRIDOR.default_task(), now[1]))(
        cut, states, lessons
    )
    assert step.truncated.tolist() == [True, False, False, True]
    assert step.terminated.tolist() == [False, True, False, False]
    assert step.observation[:, 0].tolist() == [3, END, 6, 4], "where it was cut, for the value beyond it"
