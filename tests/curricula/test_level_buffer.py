"""The level buffer, and the teachers on it: PLR, robust PLR and ACCEL, against what their papers say."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
import pytest

from autorl.curricula.level_buffer import BufferParameters, LevelBuffer, probabilities, replay, told
from autorl.curricula.scores import SCORES
from autorl.declarations import make_hyperparameters

Pupils = Callable[[str], Any]
jitted_probabilities = jax.jit(probabilities)
SETTINGS = {"capacity": 5, "staleness": 0.3, "temperature": 0.5}


def buffer(scores: list[float], played: list[int], clock: int) -> LevelBuffer:
    empty = jax.tree.map(np.asarray, LevelBuffer.empty(5, 1))
    n = len(scores)
    levels, values, times = empty.levels.copy(), empty.scores.copy(), empty.played.copy()
    levels[:n, 0], values[:n], times[:n] = np.arange(n) / 10, scores, played
    return empty._replace(levels=levels, scores=values, played=times, size=np.int32(n), clock=np.int32(clock))


def parameters(**values: Any) -> BufferParameters:
    return make_hyperparameters(BufferParameters, {**SETTINGS, **values})


def by_paper(scores: list[float], played: list[int], clock: int, temperature: float, staleness: float) -> np.ndarray:
    """Equations 1 to 4 of Jiang et al., in plain Python."""
    rank = [1 + sum(other > score for other in scores) for score in scores]
    weights = np.array([(1 / r) ** (1 / temperature) for r in rank])
    ages = np.array([clock - at for at in played])
    return (1 - staleness) * weights / weights.sum() + staleness * ages / ages.sum()


def test_levels_are_drawn_by_rank_and_staleness() -> None:
    # an order that is not its own inverse: ranks are not the order of the levels
    scores, played = [0.2, 0.9, 0.1, 0.5], [7, 9, 1, 3]
    held = buffer(scores, played, 10)
    expected = by_paper(scores, played, 10, 0.5, 0.3)
    found = np.asarray(jitted_probabilities(parameters(), held))
    np.testing.assert_allclose(found, [*expected, 0.0], atol=1e-6)
    assert found.argmax() == 1
    drawn = np.asarray(jax.jit(replay, static_argnums=3)(parameters(), held, jax.random.key(0), 20_000))[:, 0]
    np.testing.assert_allclose([np.isclose(drawn, i / 10).mean() for i in range(4)], expected, atol=0.012)


def test_topk_draws_among_the_best_in_proportion_to_the_exponential_of_scores() -> None:
    held = buffer([0.2, 0.9, 0.1, 0.5], [0] * 4, 0)
    found = jitted_probabilities(parameters(priority="topk", top=2, staleness=0.0), held)
    ratio = np.exp(0.9 - 0.5)
    np.testing.assert_allclose(found, [0, ratio / (1 + ratio), 0, 1 / (1 + ratio), 0], atol=1e-6)


def test_no_level_no_probability() -> None:
    assert not np.asarray(jitted_probabilities(parameters(), buffer([], [], 0))).any()


jitted_told = jax.jit(told)


def tell(params: Any, held: LevelBuffer, *episodes: tuple[float, float]) -> LevelBuffer:
    """Tell (level, score) pairs, filled up to three; the return is the score."""
    padded = [*episodes, *[(0.0, 0.0)] * (3 - len(episodes))]
    levels, scores = (np.array(column, np.float32) for column in zip(*padded, strict=True))
    valid = np.arange(3) < len(episodes)
    return jax.tree.map(np.asarray, jitted_told(params, held, levels[:, None], scores, scores, scores, valid))


def test_new_levels_fill_the_buffer_and_then_replace_the_least_probable_if_they_score_more() -> None:
    params = parameters(staleness=0.0)
    held = tell(params, buffer([0.2, 0.9, 0.1, 0.5], [0] * 4, 10), (0.7, 0.05))
    assert held.size == 5
    assert held.clock == 11
    np.testing.assert_allclose(held.levels[4], 0.7)
    same = tell(params, held, (0.8, 0.04))
    np.testing.assert_array_equal(same.levels, held.levels)
    # the better of two goes with the least probable, then the other with the next
    both = tell(params, held, (0.6, 0.3), (0.8, 0.6))
    np.testing.assert_allclose(both.scores, [0.2, 0.9, 0.3, 0.5, 0.6], rtol=1e-6)
    np.testing.assert_allclose(both.levels[:, 0], [0.0, 0.1, 0.6, 0.3, 0.8], rtol=1e-6)
    assert both.size == 5


def test_staleness_keeps_a_level_with_the_least_score_from_being_replaced() -> None:
    params = parameters(staleness=0.9)
    held = buffer([0.2, 0.9, 0.1, 0.5, 0.4], [10, 10, 0, 10, 9], 10)
    after = tell(params, held, (0.8, 0.45))
    np.testing.assert_allclose(after.scores, [0.45, 0.9, 0.1, 0.5, 0.4], rtol=1e-6)


def test_a_level_that_is_held_is_not_held_twice() -> None:
    params = parameters()
    held = buffer([0.2, 0.9], [3, 4], 10)
    after = tell(params, held, (0.1, 0.5), (0.1, 0.7), (0.45, 0.3))
    assert after.size == 3
    np.testing.assert_allclose(after.scores[:3], [0.2, 0.6, 0.3], rtol=1e-6)
    np.testing.assert_allclose(after.best[1], 0.7, rtol=1e-6)
    np.testing.assert_array_equal(after.played[:3], [3, 13, 13])
    twice = tell(params, held, (0.45, 0.2), (0.45, 0.4))
    assert twice.size == 3
    np.testing.assert_allclose(twice.scores[2], 0.3, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("max_mc", 0.9 - 0.3),
        ("regret", 0.8 - 0.5),
        ("learnability", 0.25 * 0.75),
        ("progress", 0.5 - 0.2),
        ("positive_value_loss", 0.11),
        ("l1_value_loss", 0.12),
    ],
)
def test_scores(name: str, expected: float) -> None:
    registers = {
        "return": 0.5,
        "max_return": 0.9,
        "previous_return": 0.2,
        "value": 0.3,
        "success_rate": 0.25,
        "antagonist_return": 0.8,
        "positive_value_loss": 0.11,
        "absolute_value_loss": 0.12,
    }
    given = {key: np.float32(value) for key, value in registers.items() if key in SCORES[name].needs}
    assert SCORES[name].per_sample(given) == pytest.approx(expected, abs=1e-6)


def full(one: Any, **channels: Any) -> Any:
    """Return a state whose buffer holds 16 levels on a diagonal, scored by their place."""
    places = np.linspace(0.05, 0.95, 16)
    given = {"returns": places, "values": np.zeros(16), **channels}
    return one.update(one.init(0), one.tasks(np.stack([places, places], axis=1)), **given)


def held_levels(one: Any, state: Any) -> Callable[[Any], np.ndarray]:
    levels = np.asarray(state.buffer.levels)
    return lambda tasks: np.array([np.abs(levels - point).max(axis=1).min() < 1e-4 for point in one.unit(tasks)])


@pytest.mark.parametrize(("name", "on_new"), [("plr", True), ("robust_plr", False)])
def test_replays_are_learned_from_and_new_levels_only_without_robustness(
    name: str, on_new: bool, pupil: Pupils
) -> None:
    one = pupil(name)
    state = full(one)
    known, replays = held_levels(one, state), []
    for seed in range(60):
        proposal = one.propose(state, seed)
        again = known(proposal.tasks)
        assert again.all() or not again.any()
        assert (proposal.train == (again | on_new)).all()
        replays.append(again[0])
    assert 0.65 < np.mean(replays) < 0.95, "0.8, by default"
    fresh = one.propose(one.init(0), 1)
    assert (fresh.train == on_new).all(), "nothing to replay yet"


def test_regret_beyond_what_was_seen_is_replayed(pupil: Pupils) -> None:
    """A level once solved, but valued low, is where the greatest return so far exceeds the value: the top rank."""
    one = pupil("robust_plr")
    state = full(one, mean_values=np.linspace(0.05, 0.95, 16))
    hard = one.tasks([[0.05, 0.05]])
    state = one.update(state, hard, returns=[0.9], mean_values=[0.9])
    state = one.update(state, hard, returns=[0.0], mean_values=[0.1])
    np.testing.assert_allclose(state.buffer.scores[0], 0.8, atol=1e-6)
    drawn = np.concatenate([one.unit(one.propose(state, seed).tasks) for seed in range(40)])
    assert (np.abs(drawn - 0.05).max(axis=1) < 1e-4).mean() > 0.3


def edited(one: Any, state: Any, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return proposed edits of one coordinate, of levels on the diagonal, and which level each is an edit of; -1 where of none."""
    single = one.teacher.parameters({"capacity": 16, "most_edits": 3, "edits": 1})
    edits, levels = one.unit(one.propose(state, seed, single).tasks), np.asarray(state.buffer.levels)
    same = np.abs(edits[:, None] - levels[None]) < 1e-4
    return edits, np.where(same.any(axis=2).any(axis=1), same.any(axis=2).argmax(axis=1), -1)


def test_accel_edits_every_level_that_was_replayed_and_looks_only(pupil: Pupils) -> None:
    one = pupil("accel")
    state = full(one)
    which = [1, 4, 6, 7, 9, 11, 13, 15]
    replayed = one.tasks(np.asarray(state.buffer.levels)[which])
    state = one.update(state, replayed, returns=np.full(8, 0.5), mean_values=np.zeros(8))
    assert sorted(edited(one, state, 5)[1]) == which, "each of the eight once, not one of them"
    edits, twice = one.propose(state, 5), one.propose(state, 6)
    assert not edits.train.any()
    assert len(np.unique(np.round(edits.tasks, 5), axis=0)) == 8
    assert not np.array_equal(edits.tasks, twice.tasks)
    after = one.update(state, edits.tasks, returns=np.full(8, 2.0), mean_values=np.zeros(8))
    assert not np.asarray(after.replayed).any(), "edits are not edited again unless they are replayed"
    known = held_levels(one, after)
    assert known(edits.tasks).all(), "edits that score high join the buffer"
    kinds = [known(one.propose(after, seed).tasks).mean() for seed in range(30)]
    assert set(np.round(kinds, 3)) == {0.0, 1.0}


def test_accel_edits_few_replays_in_turn_and_takes_one_edit_for_one_edit(pupil: Pupils) -> None:
    one = pupil("accel")
    state = full(one)
    levels = one.tasks(np.asarray(state.buffer.levels)[[3, 12]])
    state = one.update(state, levels, returns=[0.5, 0.5], mean_values=[0.0, 0.0])
    edits, of = edited(one, state, 5)
    assert sorted(of) == [3] * 4 + [12] * 4, "one coordinate of each"
    assert len(np.unique(np.round(edits, 5), axis=0)) == 8


def test_accel_edits_the_replays_of_a_whole_round_however_often_it_is_told(pupil: Pupils) -> None:
    """A rollout ends more episodes than are told at once. Each update of it once undid what the one before had remembered."""
    one = pupil("accel")
    state = full(one)
    levels = np.asarray(state.buffer.levels)
    for replays in (range(9), range(12), range(16), [*range(16), *range(4)]):
        told_of = one.tasks(levels[list(replays)])
        after = one.update(state, told_of, returns=np.full(len(told_of), 0.5), mean_values=np.zeros(len(told_of)))
        assert np.flatnonzero(after.replayed).tolist() == sorted(set(replays))
        drawn = np.concatenate([edited(one, after, seed)[1] for seed in range(20)])
        assert set(drawn) == set(replays), "no level is left out because others come first"
        # edits, in three updates, and replays that were under way before them
        looked = np.concatenate([one.propose(after, seed).tasks for seed in range(2)] + [told_of[:4]])
        free = one.update(after, looked, returns=np.zeros(20), mean_values=np.zeros(20))
        assert not np.asarray(free.replayed).any()
        assert not np.asarray(free.heard).any()


def test_a_round_of_edits_is_one_though_the_edits_took_their_parents_places(pupil: Pupils) -> None:
    one = pupil("accel")
    state = full(one, returns=np.full(16, 0.1))
    levels = np.asarray(state.buffer.levels)
    state = one.update(state, one.tasks(levels[:2]), returns=np.zeros(2), mean_values=np.zeros(2))
    better = one.tasks(np.random.default_rng(0).uniform(size=(16, 2)))
    edits = one.update(state, better, returns=np.full(16, 2.0), mean_values=np.zeros(16), more=True)
    assert not (np.asarray(edits.buffer.levels)[:2] == levels[:2]).all(axis=1).any(), "both parents are gone"
    kept = one.tasks(np.asarray(edits.buffer.levels)[4:8])
    after = one.update(edits, kept, returns=np.zeros(4), mean_values=np.zeros(4))
    assert not np.asarray(after.replayed).any(), "what was under way before the edits is not edited"


def test_a_round_ends_though_its_last_episodes_told_nothing(pupil: Pupils) -> None:
    one = pupil("accel")
    state = full(one)
    replays = one.tasks(np.asarray(state.buffer.levels)[:9])
    returns = np.array([0.5] * 8 + [np.nan])
    after = one.update(state, replays, returns=returns, mean_values=np.zeros(9))
    assert np.flatnonzero(after.replayed).tolist() == list(range(8))
    assert not np.asarray(after.heard).any()


def test_accel_edits_no_level_that_took_the_place_of_one_replayed(pupil: Pupils) -> None:
    one = pupil("accel")
    state = full(one, returns=np.full(16, 0.1))
    levels = np.asarray(state.buffer.levels)
    state = one.update(state, one.tasks(levels[:8]), returns=np.full(8, 0.0), mean_values=np.zeros(8), more=True)
    assert np.asarray(state.heard).sum() == 8
    better = one.tasks(np.random.default_rng(0).uniform(size=(8, 2)))
    state = one.update(state, better, returns=np.full(8, 2.0), mean_values=np.zeros(8))
    stayed = (np.asarray(state.buffer.levels) == levels).all(axis=1)
    assert 0 < stayed.sum() < 16
    np.testing.assert_array_equal(state.replayed, stayed & (np.arange(16) < 8))


@pytest.mark.slow
def test_edits_and_draws_are_the_task_spaces_own() -> None:
    from autorl.curricula.tasks import TaskSpace

    flip = lambda key, wall: wall.at[jax.random.randint(key, (), 0, 4)].set(1.0)  # noqa: E731
    sparse = lambda key: jax.random.bernoulli(key, 0.25, (4,)).astype(float)  # noqa: E731
    space = TaskSpace((0.0,) * 4, (1.0,) * 4, sampler=sparse, editor=flip)
    drawn = np.asarray(space.draw(jax.random.key(0), 400))
    assert set(np.unique(drawn)) == {0.0, 1.0}
    assert drawn.mean() == pytest.approx(0.25, abs=0.05)
    edit = jax.vmap(partial(space.edit, most=3), in_axes=(0, None, None))
    walls = np.asarray(edit(jax.random.split(jax.random.key(1), 100), np.zeros(4, np.float32), 2)).sum(axis=1)
    assert set(walls) == {1.0, 2.0}, "two edits, of which the second may be the same"
