"""Teachers that move through the tasks: sequences, schedules, ADR, self-paced, intermediate difficulty, learnability."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

Pupils = Callable[[str], Any]


def test_a_sequence_plays_each_task_for_its_episodes(pupil: Pupils) -> None:
    one = pupil("sequence")
    order = [[0.1, 0.2], [0.5, 0.6], [0.9, 0.3]]
    params = one.teacher.parameters({"tasks": order, "episodes": [5, 8, 100]})
    state, played = one.init(0), []
    for step in range(4):
        played.append(one.unit(one.propose(state, step, params).tasks))
        state = one.update(state, np.zeros((8, 2)), params)
    expected = np.repeat(order, [5, 8, 19], axis=0)
    np.testing.assert_allclose(np.concatenate(played), expected, atol=1e-5)
    late = one.propose(state._replace(episodes=np.int32(10**6)), 0, params).tasks
    np.testing.assert_allclose(one.unit(late), [order[-1]] * 8, atol=1e-5)


def test_a_schedule_passes_through_its_knots(pupil: Pupils) -> None:
    one = pupil("schedule")
    means, deviations = [[0.2], [0.6], [0.4]], [[0.01], [0.04], [0.01]]
    params = one.teacher.parameters({"means": means, "deviations": deviations, "uniform": 0.0, "horizon": 4000})
    state = one.init(0)
    for episode, mean, deviation in (
        (0, 0.2, 0.01),
        (1000, 0.4, 0.02),
        (2000, 0.6, 0.04),
        (4000, 0.4, 0.01),
        (9000, 0.4, 0.01),
    ):
        at = state._replace(episodes=np.int32(episode))
        drawn = np.concatenate([one.unit(one.propose(at, seed, params).tasks) for seed in range(50)])
        assert drawn.mean() == pytest.approx(mean, abs=0.01)
        assert drawn.std() == pytest.approx(deviation, rel=0.15)


def play_adr(one: Any, solved: Callable[[np.ndarray], np.ndarray], batches: int = 60, state: Any = None) -> Any:
    state = one.init(0) if state is None else state
    for step in range(batches):
        tasks = one.propose(state, step).tasks
        state = one.update(state, tasks, returns=solved(one.unit(tasks)))
    return state


def test_adr_widens_to_what_is_solved_and_no_farther(pupil: Pupils) -> None:
    one = pupil("adr")
    solved = lambda points: (points[:, 0] < 0.8).astype(float)  # noqa: E731
    state = play_adr(one, solved, 120)
    np.testing.assert_allclose(state.low, 0.0)
    assert state.high[1] == 1.0
    assert 0.7 <= state.high[0] <= 0.93
    drawn = np.concatenate([one.unit(one.propose(state, seed).tasks) for seed in range(60)])
    on_face = np.isclose(drawn, 0, atol=1e-4) | np.isclose(drawn, state.high, atol=1e-4)
    assert 0.55 < on_face.any(axis=1).mean() < 0.85, "0.7, by default"
    shrunk = play_adr(one, lambda points: np.zeros(len(points)), 200, state)
    core = one.init(0)
    np.testing.assert_allclose(shrunk.low, core.low, atol=1e-6)
    np.testing.assert_allclose(shrunk.high, core.high, atol=1e-6)


def test_adr_moves_a_face_after_a_full_queue_on_it_only(pupil: Pupils) -> None:
    one = pupil("adr")
    state = one.init(0)
    face = [float(state.low[0]), 0.5]
    inner = one.update(state, one.tasks([[0.5, 0.5]] * 16), returns=np.ones(16))
    assert inner.low[0] == state.low[0]
    nine = one.update(state, one.tasks([face] * 9), returns=np.ones(9))
    assert nine.low[0] == state.low[0]
    ten = one.update(nine, one.tasks([face]), returns=[1.0])
    assert ten.low[0] == pytest.approx(face[0] - 0.1, abs=1e-6)
    np.testing.assert_array_equal([ten.low[1], *ten.high], [state.low[1], *state.high])
    assert ten.counts[0, 0] == 0


def divergence(mean: Any, deviation: Any, other_mean: Any, other_deviation: Any) -> float:
    """Of two Gaussians with independent coordinates, in float64."""
    ratio = (np.asarray(deviation, np.float64) / other_deviation) ** 2
    apart = ((np.asarray(mean, np.float64) - other_mean) / other_deviation) ** 2
    return float(0.5 * (ratio + apart - 1 - np.log(ratio)).sum())


def play_spdl(one: Any, values: dict[str, Any], solved: Callable[[np.ndarray], np.ndarray], updates: int) -> Any:
    """Play, checking the trust region at every update; return the last state."""
    params = one.teacher.parameters({"episodes": 64, **values})
    state = one.init(0, params)
    for step in range(8 * updates):
        tasks = one.propose(state, step, params).tasks
        before, state = state, one.update(state, tasks, params, returns=solved(one.unit(tasks)))
        if state.updates > before.updates:
            old, new = ((s.mean, np.exp(s.log_deviation)) for s in (before, state))
            assert divergence(*new, *old) <= float(params.max_kl) * 1.01
    assert state.updates == updates
    return state


TO_TARGET = {"initial_mean": 0.2, "target_mean": 0.8, "target_deviation": 0.1, "offset": 0, "max_kl": 0.5}


def test_self_paced_reaches_the_target_if_every_task_is_solved(pupil: Pupils) -> None:
    state = play_spdl(pupil("spdl"), TO_TARGET, lambda points: np.ones(len(points)), 40)
    np.testing.assert_allclose(state.mean, 0.8, atol=0.02)
    np.testing.assert_allclose(np.exp(state.log_deviation), 0.1, rtol=0.1)


def test_self_paced_waits_where_the_target_is_not_solved(pupil: Pupils) -> None:
    solved = lambda points: (points[:, 0] < 0.4).astype(float)  # noqa: E731
    state = play_spdl(pupil("spdl"), {**TO_TARGET, "zeta": 0.5}, solved, 30)
    assert state.mean[0] < 0.5, "not beyond what is solved"
    assert state.mean[1] == pytest.approx(0.8, abs=0.05), "what does not matter goes to the target"


def test_self_paced_ignores_the_target_before_the_offset_and_at_no_return(pupil: Pupils) -> None:
    one = pupil("spdl")
    for values, returns in (({**TO_TARGET, "offset": 100}, 1.0), (TO_TARGET, 0.0)):
        state = play_spdl(one, values, lambda points, value=returns: np.full(len(points), value), 3)
        np.testing.assert_allclose(state.mean, 0.2, atol=1e-3)


@pytest.mark.slow
def test_goals_gather_where_success_is_sometimes(pupil: Pupils) -> None:
    one, rng, late = pupil("goal_gan"), np.random.default_rng(0), []
    state = one.init(0)
    for step in range(120):
        tasks = one.propose(state, step).tasks
        x = one.unit(tasks)[:, 0]
        chance = np.where(x < 0.3, 1.0, np.where(x < 0.5, 0.5, 0.0))
        state = one.update(state, tasks, successes=rng.random(8) < chance, returns=np.zeros(8))
        if step >= 60:
            late.append(((x > 0.27) & (x < 0.53)).mean())
    assert np.mean(late) > 0.5  # a quarter, if it were blind
    good = np.asarray(state.good)[: int(state.good_count), 0]
    assert ((good >= 0.3 - 1e-4) & (good <= 0.5 + 1e-4)).all(), "always or never solved is not good"
    olds = np.asarray(state.olds)[: min(int(state.old_count), 12)]
    assert len(olds) == 12
    gaps = np.linalg.norm(olds[:, None] - olds, axis=2) + np.eye(12)
    assert gaps.min() > 0.0, "an old goal is kept once"


@pytest.mark.slow
def test_each_goal_of_a_round_is_tried_as_often_as_asked(pupil: Pupils) -> None:
    one, state = pupil("goal_gan"), pupil("goal_gan").init(0)
    seen = []
    for step in range(4):
        seen.append(one.propose(state, step).tasks)
        state = one.update(state, seen[-1], successes=np.zeros(8), returns=np.zeros(8))
    _, counts = np.unique(np.concatenate(seen), axis=0, return_counts=True)
    np.testing.assert_array_equal(counts, [2] * 16)
    assert state.trials.used == 0, "a round of sixteen goals is over"


def play_sfl(one: Any, state: Any, step: int, chance: Callable[[np.ndarray], np.ndarray]) -> tuple[Any, Any]:
    proposal = one.propose(state, step)
    successes = np.random.default_rng(step).random(8) < chance(one.unit(proposal.tasks)[:, 0])
    return proposal, one.update(state, proposal.tasks, successes=successes, returns=np.zeros(8))


def test_learnability_evaluates_without_learning_then_keeps_the_most_learnable(pupil: Pupils) -> None:
    one = pupil("sfl")
    state, looks = one.init(0), []
    # alternate outcomes in the middle: exactly p = 1/2 by two visits
    for step in range(4):
        proposal = one.propose(state, step)
        looks.append(proposal)
        x = one.unit(proposal.tasks)[:, 0]
        successes = np.where(np.abs(x - 0.5) < 0.3, np.arange(8) % 2, x > 0.5)
        state = one.update(state, proposal.tasks, successes=successes, returns=np.zeros(8))
        assert not proposal.train.any()
    tasks = np.concatenate([look.tasks for look in looks])
    _, counts = np.unique(tasks, axis=0, return_counts=True)
    np.testing.assert_array_equal(counts, [2] * 16)
    assert state.ready
    assert state.trials.used == 0
    x = one.unit(tasks)[:, 0]
    assert (np.abs(x - 0.5) < 0.3).sum() >= 8, "enough levels were learnable"
    assert (np.abs(np.asarray(state.levels)[:, 0] - 0.5) < 0.3 + 1e-4).all()


def test_learnability_learns_from_kept_and_random_levels_until_the_next_evaluation(pupil: Pupils) -> None:
    one = pupil("sfl")
    state = one.init(0)
    kinds = []
    for step in range(16):
        kept = np.asarray(state.levels)
        proposal, state = play_sfl(one, state, step, lambda x: np.full(len(x), 0.5))
        kinds.append("learn" if proposal.train.all() else "look" if not proposal.train.any() else "mixed")
        if kinds[-1] == "learn":
            from_kept = np.abs(one.unit(proposal.tasks)[:, None] - kept).max(axis=2).min(axis=1) < 1e-4
            assert 0 <= from_kept.sum() <= 8
    assert kinds == ["look"] * 4 + ["learn"] * 4 + ["look"] * 4 + ["learn"] * 4


def play_space(one: Any, state: Any, values: Callable[[np.ndarray], np.ndarray]) -> tuple[Any, list[Any]]:
    """Play to the end of the next evaluation; return the state and what was proposed."""
    proposals, evaluations = [], int(state.evaluations)
    while state.evaluations == evaluations:
        proposals.append(one.propose(state, len(proposals)))
        x = one.unit(proposals[-1].tasks)[:, 0]
        state = one.update(state, proposals[-1].tasks, returns=np.zeros(8), values=values(x))
    return state, proposals


def test_space_looks_at_every_instance_and_chooses_those_whose_values_rose_most(pupil: Pupils) -> None:
    one = pupil("space")
    state, looks = play_space(one, one.init(0), np.ones_like)
    assert not np.concatenate([look.train for look in looks]).any()
    assert len(np.unique(np.concatenate([look.tasks for look in looks]), axis=0)) == 16
    assert state.size == 2
    state, proposals = play_space(one, state, lambda x: 1 + 2 * x)
    learned = [proposal for proposal in proposals if proposal.train.any()]
    assert sum(proposal.train.sum() for proposal in learned) == 32
    assert state.size == 2, "values changed much: the set does not grow"
    x = np.asarray(state.points)[:, 0]
    np.testing.assert_array_equal(np.flatnonzero(state.chosen), np.sort(np.argsort(x)[-2:]))
    tasks = one.unit(one.propose(state, 0).tasks)
    np.testing.assert_allclose(np.unique(np.round(tasks[:, 0], 4)), np.sort(x)[-2:], atol=1e-3)


def test_space_grows_when_values_stand_still_up_to_all_instances(pupil: Pupils) -> None:
    one = pupil("space")
    state, sizes = one.init(0), []
    for _ in range(6):
        state, _ = play_space(one, state, lambda x: 1 + x)
        sizes.append(int(state.size))
    assert sizes == [2, 6, 10, 14, 16, 16]
    assert np.asarray(state.chosen).all()
