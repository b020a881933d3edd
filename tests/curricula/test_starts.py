"""Where episodes start: cells and stages against plain Python, and in a corridor whose every way is known."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from corridor import CORRIDOR, COUNT, END, ONWARDS, STEPS, course, walked

from autorl.curricula.courses import any_course
from autorl.curricula.starts.archive import Archive
from autorl.curricula.starts.go_explore import GoExplore
from autorl.curricula.starts.protocol import Episodes, GuidedStarter
from autorl.curricula.starts.roll_in import RollIn
from autorl.curricula.teachers import STARTERS
from autorl.environments.protocol import Reached
from autorl.environments.registry import make_environment
from autorl.environments.task_points import task_points
from autorl.errors import UsageError
from autorl.inner.course import Course, StartCourse, Visits
from autorl.inner.dqn import DQN
from autorl.inner.ppo import PPO


@pytest.fixture(scope="module")
def explored():
    return walked(course("go_explore", width=1.0, capacity=32), 30)


def test_cells_keep_the_shortest_way_to_every_place(explored):
    assert isinstance(course("go_explore"), StartCourse)
    assert isinstance(course("go_explore"), Course)
    archive, cells, seen = explored[0][0].teacher
    positions = np.asarray(archive.reached.state.position)[archive.filled]
    assert sorted(positions.tolist()) == list(range(END)), "each place once, but for the end, where nothing goes on"
    walks = np.asarray(archive.lengths)[archive.filled]
    # back at the start there is no way of no step; every other place is so many steps away
    np.testing.assert_array_equal(walks, np.where(positions == 0, 1, positions))
    np.testing.assert_array_equal(np.asarray(archive.reached.state.time)[archive.filled], walks)
    np.testing.assert_allclose(np.asarray(archive.scores)[archive.filled], -0.1 * walks, rtol=1e-4)
    assert len(set(np.asarray(cells)[archive.filled].tolist())) == END
    assert int(seen.sum()) <= 30 * STEPS * COUNT


def test_episodes_go_on_from_where_the_archive_says(explored):
    (lessons, *_), (played, done, observations, states) = explored
    desk = lessons.desk
    restored = np.asarray(desk.points[:, 0]) > 0.5
    assert restored.any(), "else the seed says nothing"
    walks = np.asarray(played.points[..., 2])[1:]
    # the step after an end is the first of an episode: its clock shows the steps up to its start, and one
    began = np.asarray(done)[:-1] & (np.asarray(played.points[..., 0])[1:] > 0.5)
    assert began.any()
    np.testing.assert_array_equal(np.asarray(states.time)[:-1][began], walks[began])
    np.testing.assert_array_equal(np.asarray(observations)[:-1][began][:, 0], np.asarray(states.position)[:-1][began])
    assert lessons.diary.episodes.shape[1] == 2


def entries(scores, lengths, observations, filled):
    observations = jnp.asarray(observations, jnp.float32)
    return Archive(
        Reached(observations, observations[:, 0].astype(jnp.int32)),
        jnp.asarray(lengths, jnp.int32),
        jnp.asarray(scores, jnp.float32),
        jnp.asarray(filled),
    )


EXPLORER, ROLLER = GoExplore(0, 2), RollIn(2, 2)
watch, propose = jax.jit(EXPLORER.watch), jax.jit(EXPLORER.propose, static_argnums=3)
watch_rolling, roll = jax.jit(ROLLER.watch), jax.jit(ROLLER.propose, static_argnums=3)


def empty(room):
    return Archive.empty(room, Reached(jax.ShapeDtypeStruct((2,), jnp.float32), jax.ShapeDtypeStruct((), jnp.int32)))


def explorer(**values):
    params = EXPLORER.parameters({"width": [1.0, 0.5], **values})
    return params, EXPLORER.init(params, empty, jnp.zeros(2, jnp.uint32))


def test_cells_are_those_of_a_dictionary():
    rng = np.random.default_rng(0)
    params, state = explorer(capacity=64)
    best, seen = {}, {}
    for _ in range(6):
        seen_at = rng.integers(0, 4, (40, 2)) * np.array([1.0, 0.5]) + rng.uniform(0.0, 0.2, (40, 2))
        scores, lengths = rng.integers(0, 5, 40), rng.integers(1, 9, 40)
        filled = rng.random(40) < 0.8
        state = watch(params, state, entries(scores, lengths, seen_at, filled))
        for (a, b), score, length, here in zip(seen_at, scores, lengths, filled, strict=True):
            if here:
                cell = (int(a), int(b / 0.5))
                best[cell] = max(best.get(cell, (-np.inf, 0)), (int(score), -int(length)))
                seen[cell] = seen.get(cell, 0) + 1
    archive = state.archive
    found = {
        (int(a), int(b / 0.5)): ((int(score), -int(length)), int(count))
        for (a, b), score, length, count, here in zip(
            np.asarray(archive.reached.observation), archive.scores, archive.lengths, state.seen, archive.filled,
            strict=True,
        ) if here
    }  # fmt: skip
    assert found == {cell: (best[cell], seen[cell]) for cell in best}


def test_a_full_archive_gives_the_place_of_the_cell_seen_most():
    params, state = explorer(capacity=3)
    padded = lambda cells: [*cells, *[9] * (6 - len(cells))]  # noqa: E731
    at = lambda *cells: entries(  # noqa: E731
        [0.0] * 6, [1] * 6, [(c, 0) for c in padded(cells)], [c != 9 for c in padded(cells)]
    )
    state = watch(params, state, at(0, 1, 1, 1, 2, 2))
    state = watch(params, state, at(7))
    assert sorted(state.archive.reached.state.tolist()) == [0, 2, 7]
    assert sorted(state.seen.tolist()) == [1, 1, 2]


def test_what_was_seen_little_is_chosen_most():
    params, state = explorer(capacity=4, restored=1.0)
    start = propose(params, state, jax.random.key(0), 4000)
    assert not start.restored.any(), "there is nothing to go on from"
    watched = watch(params, state, entries([0.0] * 9, [1] * 9, [(0, 0)] * 8 + [(3, 0)], [True] * 9))
    found = propose(params, watched, jax.random.key(0), 4000)
    assert found.restored.all()
    shares = np.bincount(np.asarray(watched.archive.reached.state)[found.places], minlength=4) / 4000
    expected = np.array([1 / 3, 0, 0, 1 / np.sqrt(2)])
    np.testing.assert_allclose(shares, expected / expected.sum(), atol=0.03)
    none = propose(EXPLORER.parameters({"restored": 0.0, "capacity": 4}), watched, jax.random.key(0), 4000)
    assert not none.restored.any()


def roller(**values):
    params = ROLLER.parameters({"episodes": 2, "capacity": 4, "stages": 3, "discount": 1.0, **values})
    return params, ROLLER.init(params, empty, jnp.zeros(2, jnp.uint32))


@jax.jit
def hear(params, state, scores, restored=False):
    """Two episodes begin and end."""
    starts = roll(params, state, jax.random.key(0), 2)._replace(restored=jnp.full(2, restored))
    state = ROLLER.begun(params, state, starts, jnp.full(2, True))
    valid, zero = jnp.isfinite(scores), jnp.zeros(2, jnp.int32)
    told = Episodes(starts.restored, zero, jnp.nan_to_num(scores), valid, starts.blocks, jnp.full(2, True))
    return ROLLER.update(params, state, told)


def test_a_stage_ends_when_fresh_episodes_are_good_enough_and_the_next_rolls_in():
    params, state = roller(threshold=0.8, first=[0.0, 1.0], last=[1.0, 0.0], beta=1.0)
    propose = lambda state: roll(params, state, jax.random.key(1), 20)  # noqa: E731
    assert not propose(state).restored.any()
    np.testing.assert_allclose(propose(state).tasks[0], [0.0, 1.0])
    state = watch_rolling(params, state, entries([0.0] * 6, range(6), [(i, 0) for i in range(6)], [True] * 6))
    for scores, restored in (([1.0, 0.5], False), ([1.0] * 2, True), ([np.nan] * 2, False), ([np.nan, 0.7], False)):
        state = hear(params, state, jnp.array(scores), restored)
        assert int(state.stage) == 0, "too little, not fresh, or not a number"
    state = hear(params, state, jnp.array([np.nan, 0.9]))
    assert int(state.stage) == 1
    found = propose(state)
    assert found.restored.all()
    assert set(np.asarray(state.archive.reached.state)[found.places].tolist()) == {2, 3, 4, 5}, "the newest"
    np.testing.assert_allclose(found.tasks[0], [0.5, 0.5])
    assert not state.growing.filled.any()
    for _ in range(3):
        state = hear(params, state, jnp.ones(2))
    assert int(state.stage) == 2
    np.testing.assert_allclose(propose(state).tasks[0], [1.0, 0.0])


@pytest.mark.slow
def test_a_stage_ends_when_patience_does_and_keeps_early_states_rather():
    params, state = roller(threshold=9.0, patience=3, discount=0.5, capacity=4000)
    many = entries([0.0] * 4000, [1, 3] * 2000, [(1, 0), (3, 0)] * 2000, [True] * 4000)
    state = watch_rolling(params, state, many)
    kept = np.asarray(state.growing.lengths)[state.growing.filled]
    assert np.mean(kept == 1) * len(kept) / 2000 == pytest.approx(1 / 2, abs=0.04)
    assert np.mean(kept == 3) * len(kept) / 2000 == pytest.approx(1 / 8, abs=0.03)
    state = hear(params, state, jnp.zeros(2))
    assert int(state.stage) == 0
    assert int(hear(params, state, jnp.array([0.0, np.nan])).stage) == 1


@pytest.mark.slow
def test_the_task_of_a_stage_is_played():
    rolled = course("roll_in", first=[0.3], last=[0.3], patience=4, episodes=2)
    (lessons, *_), (played, *_) = walked(rolled, 4)
    task = rolled.task(CORRIDOR.default_task(), played.points[0, 0])
    assert float(task["toll"]) == pytest.approx(0.3)
    assert int(lessons.teacher.stage) > 0
    assert bool((played.points[..., 0] > 0.5).any())
    assert rolled.features == 3


@pytest.fixture(scope="module")
def shrinking():
    """Rolled in from a world of 10 x 10 into one of 6 x 6 with two objects and 30 steps: six places, of which two are places of that."""
    world = make_environment("lpg:all")
    points = task_points(world, {"size": None, "objects": None, "max_steps": None})
    narrow = (np.array([6, 2, 30]) - [3, 1, 10]) / (np.array([10, 5, 750]) - [3, 1, 10])
    parameters = {
        **{"first": [1.0] * 3, "last": narrow.tolist(), "stages": 2, "beta": 1.0, "discount": 1.0},
        **{"patience": 1, "episodes": 1, "capacity": 8},
    }
    rolled = any_course({"name": "roll_in", "parameters": parameters}, world, points, (0.0, 1.0))
    free = ~world.default_task()["walls"]
    beyond = np.indices(free.shape).max(axis=0) >= 6
    inside, outside = np.argwhere(free & ~beyond)[-2:], np.argwhere(free & beyond)[-2:]
    wall = np.argwhere(~free[:6, :6])[0]
    positions = np.stack([*inside, *outside, wall, inside[0]])

    @jax.jit
    def proposed(rolled):
        state = rolled.init(jax.random.key(0))
        begun, _ = rolled.propose(state, jax.random.key(1), 6)
        reached = jax.vmap(lambda key: Reached(*world.reset(key, world.default_task())))(
            jax.random.split(jax.random.key(2), 6)
        )
        times = jnp.array([5, 29, 5, 5, 5, 30])
        there = reached.state._replace(position=jnp.asarray(positions), time=times)
        reached = Reached(jax.vmap(world._observed)(there), there)
        none = jnp.zeros(6)
        state = rolled.watch(state, Visits(begun, reached, none, times, none > 0))
        state = rolled.update(state, begun, {"returns": none})
        points, _ = rolled.propose(state, jax.random.key(3), 200)
        tasks = jax.vmap(rolled.task, (None, 0))(world.default_task(), points)
        keys = jax.random.split(jax.random.key(4), 200)
        start = Reached(*jax.vmap(world.reset)(keys, tasks))
        begun = rolled.start(state, points, tasks, start)
        step = jax.vmap(world.step)(keys, begun.state, jnp.full(200, 4), tasks)
        return state.stage, points, tasks, begun, step

    return world, positions, *proposed(rolled)


def test_only_states_of_the_next_stages_task_are_rolled_in(shrinking):
    _, _, stage, points, tasks, begun, step = shrinking
    assert int(stage) == 1
    assert set(np.asarray(tasks["size"]).tolist()) == {6}
    restored = np.asarray(points[:, 0]) > 0.5
    assert set(np.asarray(points[restored, 1]).astype(int).tolist()) == {0, 1}, "not outside, in a wall, or out of time"
    assert 0.2 < restored.mean() < 0.5, "two of six"
    assert not np.asarray(points)[~restored, 2:4].any(), "the others start afresh, with nothing before them"
    assert (np.asarray(begun.state.time)[~restored] == 0).all()
    np.testing.assert_array_equal(step.state.position, begun.state.position, "who stays is not moved")


def test_what_is_observed_where_a_state_is_restored_is_what_is_there(shrinking):
    world, _, _, points, _, begun, _ = shrinking
    restored = np.asarray(points[:, 0]) > 0.5
    assert (np.asarray(begun.state.present)[restored].sum(axis=1) == 2).all(), (
        "the objects of the task, not those of the last one"
    )
    expected = jax.jit(jax.vmap(world._observed))(begun.state)
    np.testing.assert_array_equal(begun.observation, expected)


def test_levels_are_not_rolled_in():
    maze = make_environment("maze:9x9")
    with pytest.raises(
        UsageError, match=r"'roll_in': .* the tasks of 'maze:9x9' are levels. Remedy: a teacher of levels"
    ):
        any_course({"name": "roll_in", "parameters": {}}, maze, task_points(maze), None)


def test_what_a_starter_is_given_is_checked():
    with pytest.raises(UsageError, match="teacher 'go_explore': width: expected a value in"):
        course("go_explore", width=0.0)
    with pytest.raises(UsageError, match=r"width: expected one number or shape \[1\]"):
        course("go_explore", width=[1.0, 2.0])


SIZES = {"hidden_size": 8, "n_layers": 1, "n_envs": 2}
LEARNERS = {
    "ppo": (PPO, {**SIZES, "n_steps": 16, "minibatch_size": 16, "update_epochs": 1}),
    "dqn": (DQN, {**SIZES, "train_freq": 4, "learning_starts": 32, "buffer_batch_size": 16}),
}


SMALL = {
    "go_explore": {"width": 1.0, "capacity": 16},
    "roll_in": {"patience": 5, "capacity": 16},
    "jump_start": {"guide": ONWARDS, "trajectories": 2, "stages": 4, "episodes": 2},
    "snapshots": {"guide": ONWARDS, "trajectories": 2},
}


def test_every_starter_is_tried():
    assert set(SMALL) == set(STARTERS)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("algorithm", LEARNERS)
def test_cutting_a_training_changes_no_bit(algorithm, name):
    kind, sizes = LEARNERS[algorithm]
    hp = kind.prepare({**sizes, "teacher": course(name, **SMALL[name])}, 2000, {})
    learner, task = kind(CORRIDOR), CORRIDOR.default_task()
    start = jax.jit(lambda: learner.init(jax.random.key(0), hp, task))()
    train = jax.jit(lambda state, until: learner.train(state, hp, task, until, jnp.int32(2000)))
    whole = train(start, jnp.int32(1600))
    cut = start
    for until in (48, 700, 731, 1600):
        cut = train(cut, jnp.int32(until))
    raw = lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x  # noqa: E731
    assert whole.actors.lessons.teacher.archive.filled.any()
    assert not whole.progress.diverged
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(cut), strict=True):
        np.testing.assert_array_equal(raw(a), raw(b))


@pytest.mark.parametrize("name", SMALL)
def test_episodes_without_a_return_teach_nothing(name):
    """Diverged values and rewards that are not finite must never get into what a teacher goes on from."""
    one = course(name, **SMALL[name])
    (lessons, _, states, _), _ = walked(one, 3)
    before = lessons.teacher
    points, _ = one.propose(before, jax.random.key(7), COUNT)
    lost, ends = jnp.full(COUNT, jnp.nan), jnp.ones(COUNT, bool)
    names = ("returns", "values", "mean_values", "positive_value_losses", "absolute_value_losses")
    episodes = {**dict.fromkeys(names, lost), "successes": jnp.ones(COUNT), "ended": ends}
    scores = lambda state: [leaf for leaf in jax.tree.leaves(state) if leaf.dtype == jnp.float32]  # noqa: E731
    same = lambda a, b: jax.tree.map(np.testing.assert_array_equal, scores(a), scores(b))  # noqa: E731
    same(before, one.update(before, points, episodes))
    whole = {**episodes, "returns": jnp.ones(COUNT)}
    told_one = one.update(before, points, {**whole, "ended": ends & (jnp.arange(COUNT) == 2)})
    mixed = jnp.where(jnp.arange(COUNT) == 2, 1.0, jnp.nan)
    same(told_one, one.update(before, points, {**whole, "returns": mixed}))
    reached = Reached(jnp.zeros((COUNT, 1)), states)
    seen = one.watch(before, Visits(points, reached, lost, jnp.ones(COUNT, jnp.int32), ~ends))
    for leaf in jax.tree.leaves(seen):
        assert np.isfinite(np.asarray(leaf, np.float64)).all()


@pytest.mark.parametrize(
    "name", [name if name == "jump_start" else pytest.param(name, marks=pytest.mark.slow) for name in STARTERS]
)
def test_a_starter_says_what_it_is_and_its_traced_parameters_are_data(name):
    kind = STARTERS.load(name)
    assert kind.name == name
    assert any(character.isdigit() for character in kind.reference), "a reference names author and year"
    assert all(field.metadata["help"].endswith(".") for field in dataclasses.fields(kind.Parameters))
    one = course(name, **({"guide": ONWARDS} if issubclass(kind, GuidedStarter) else {}))
    several = jax.tree.map(lambda leaf: np.stack([leaf, leaf]), one)

    def cycle(one, key):
        state = one.init(key)
        points, train = one.propose(state, key, 3)
        reset = Reached(jnp.zeros((3, 1)), jax.vmap(CORRIDOR.reset, (0, None))(jax.random.split(key, 3), None)[1])
        started = one.start(state, points, None, reset)
        after = one.watch(state, Visits(points, started, jnp.zeros(3), jnp.ones(3, jnp.int32), jnp.zeros(3, bool)))
        return state, (points, train, one.described(points)), one.update(after, points, {"returns": jnp.zeros(3)})

    before, told, after = jax.eval_shape(jax.vmap(cycle), several, jax.random.split(jax.random.key(0), 2))
    assert jax.tree.map(lambda x: (x.shape, x.dtype), before) == jax.tree.map(lambda x: (x.shape, x.dtype), after)
    assert [x.shape for x in told] == [(2, 3, one.dimensions), (2, 3), (2, 3, one.features)]
