from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any, cast

import _parity_statistics
import jax.numpy as jnp
import numpy as np
import parity as command
import pytest
from _parity_statistics import (
    agreement,
    analysis_of_variance,
    disagreement,
    gate_of_published,
    intervals,
    level,
    level_of_means,
    self_agreement,
    spearman,
    split_half,
    stepped_up,
    top_mean,
)
from _parity_tasks import TASKS, ActionsOnTwoScales, LimitsAreEnds, ParityTask
from _parity_training import Trained, append, chunks, read
from compact_landscape import compact
from scipy.stats import spearmanr
from synthetic_landscape import landscape_rows, write_landscape

from autorl.environments.protocol import Step
from autorl.environments.registry import make_environment
from autorl.errors import UsageError
from autorl.inner.algorithms import ALGORITHMS
from autorl.inner.protocol import problems
from autorl.inner.sac import SAC

RATINGS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], np.float64
)  # Shrout and Fleiss, 1979, table 2


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_parity_statistics, "RESAMPLES", 60)


def noisy(configurations: int, seeds: int, single: float, key: int) -> np.ndarray:
    """Return scores whose reliability, for a single seed, is ``single``; the truth is the same for every ``key``."""
    truth = np.random.default_rng(0).normal(size=(configurations, 1))
    noise = np.random.default_rng(key).normal(size=(configurations, seeds))
    return truth + noise * np.sqrt(1 / single - 1)


def test_reliability_as_published() -> None:
    assert analysis_of_variance(RATINGS) == pytest.approx(0.44, abs=0.005)  # ICC(1, 4) there
    assert stepped_up(0.17, 4) == pytest.approx(0.45, abs=0.005)  # of ICC(1, 1) there, both rounded


def test_reliabilities_find_what_was_put_in() -> None:
    scores = noisy(2000, 5, 0.5, 1)
    expected = stepped_up(0.5, 5)
    assert analysis_of_variance(scores) == pytest.approx(expected, abs=0.02)
    assert split_half(scores) == pytest.approx(expected, abs=0.03)
    scores[::7, 2] = np.nan
    assert analysis_of_variance(scores) == pytest.approx(expected, abs=0.03)


def test_reliability_without_noise_and_without_signal() -> None:
    still = np.repeat(np.arange(8.0)[:, None], 4, axis=1)
    assert split_half(still) == analysis_of_variance(still) == 1.0
    assert analysis_of_variance(np.ones((8, 4))) == split_half(np.ones((8, 4))) == 0.0
    chance = np.random.default_rng(2).normal(size=(500, 6))
    assert split_half(chance) < 0.3
    assert analysis_of_variance(chance) < 0.3


def test_the_rank_correlation_is_scipys() -> None:
    random = np.random.default_rng(3)
    a, b = random.integers(0, 9, 40).astype(float), random.normal(size=40)
    assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert spearman(np.ones(40), b) == 0.0


def test_equal_landscapes_reach_the_ceiling_and_unlike_ones_do_not() -> None:
    found = agreement(noisy(400, 5, 0.4, 1), noisy(400, 10, 0.4, 2))
    assert found["share"] == pytest.approx(1.0, abs=0.06)
    assert found["share_anova"] == pytest.approx(1.0, abs=0.06)
    assert found["ceiling"] < 0.9
    other = np.random.default_rng(9).permutation(noisy(400, 10, 0.4, 2))
    assert agreement(noisy(400, 5, 0.4, 1), other)["share"] < 0.3


def test_published_seeds_agree_with_themselves_as_much_as_their_noise_lets_them() -> None:
    random = np.random.default_rng(3)
    signal = random.normal(size=(200, 1))
    noisy = signal + 2.0 * random.normal(size=(200, 10))
    found, low, high = self_agreement(noisy, 3)
    single = 1 / (1 + 4)
    expected = np.sqrt(stepped_up(single, 3) * stepped_up(single, 7))
    assert found == pytest.approx(expected, abs=0.05)
    assert low < found < high
    assert self_agreement(np.repeat(signal, 10, axis=1), 3) == pytest.approx((1.0, 1.0, 1.0))


def test_published_seeds_pass_the_gate_where_noise_lets_them() -> None:
    clear = gate_of_published(noisy(60, 6, 0.9, 1), 3, 0.9)
    assert clear["by_ranks"] == clear["by_variances"] == 1.0
    assert clear["choices"] == 20
    assert clear["share"] == pytest.approx(1.0, abs=0.05)
    assert clear["share_low"] <= clear["share"] <= clear["share_high"]
    few = gate_of_published(
        noisy(12, 6, 0.2, 1), 3, 0.9
    )  # a dozen configurations, mostly noise: the same code often fails
    assert few["passed"] <= min(few["by_ranks"], few["by_variances"]) < 0.7


def test_published_seeds_fail_the_gate_where_their_levels_differ() -> None:
    scores = noisy(60, 6, 0.9, 1)
    scores[:, 0] += 50.0  # one seed is easier: two that hold it have a median beyond those of the others
    found = gate_of_published(scores, 2, 0.9)
    assert found["by_ranks"] == 1.0
    assert found["passed"] <= 10 / 15


def test_configurations_that_failed_throughout_are_left_out() -> None:
    ours, theirs = noisy(30, 3, 0.8, 1), noisy(30, 10, 0.8, 2)
    ours[4], theirs[9] = np.nan, np.nan
    assert agreement(ours, theirs)["configurations"] == 28


def test_the_interval_holds_the_estimate() -> None:
    ours, theirs = noisy(40, 5, 0.6, 1), noisy(40, 10, 0.6, 2)
    low, high = intervals(ours, theirs)["spearman"]
    assert low < agreement(ours, theirs)["spearman"] < high


def test_levels_are_compared_seed_by_seed() -> None:
    theirs = np.arange(20.0)[:, None] + np.array([0.0, 1.0, 2.0])
    found = level(theirs[:, :2] + 0.5, theirs)
    assert found["median"] == {
        "ours": 10.5, "ours_low": 10.0, "ours_high": 11.0, "published": 10.5, "low": 9.5, "high": 11.5, "within": True
    }  # fmt: skip
    assert found["top_tenth"]["published"] == pytest.approx(19.5)
    assert level(theirs + 5, theirs)["median"]["within"] is False
    assert top_mean(np.array([1.0, np.nan, 3.0])) == 3.0


def test_levels_of_means_are_compared_with_as_many_seeds() -> None:
    theirs = np.arange(20.0)[:, None] + np.array([0.0, 1.0, 5.0])
    found = level_of_means(theirs[:, :2] + 0.5, theirs)
    assert found["median_of_means"] == {"ours": 10.5, "published": 11.5, "low": 10.0, "high": 12.5, "within": True}
    assert found["top_tenth_of_means"]["published"] == pytest.approx(18.5 + 2)
    assert level_of_means(theirs[:, :2] + 5, theirs)["top_tenth_of_means"]["within"] is False


def test_differences_beyond_noise_are_found() -> None:
    ours, theirs = noisy(2000, 5, 0.5, 1), noisy(2000, 10, 0.5, 2)
    found = disagreement(ours, theirs)
    assert found["bias"] == pytest.approx(0.0, abs=0.05)
    assert found["noise"] == pytest.approx(np.sqrt(1 / 5 + 1 / 10), abs=0.02)
    assert found["spread"] < 0.15
    shift = np.random.default_rng(3).normal(size=(2000, 1))
    found = disagreement(ours + 0.5 + shift, theirs)
    assert found["bias"] == pytest.approx(0.5, abs=0.05)
    assert found["spread"] == pytest.approx(np.sqrt(1 + 0.25), abs=0.06)


@pytest.mark.parametrize(
    ("name", "first", "end"),
    [
        ("cc_cartpole_dqn", 5120, 51_200),
        ("cc_cartpole_ppo", 10_240, 102_400),
        ("cc_acrobot_dqn", 10_000, 100_000),
        ("cc_mountain_car_dqn", 12_000, 120_000),
        ("cc_pendulum_sac", 2000, 20_000),
    ],
)
def test_trainings_are_as_long_as_arlbenchs(name: str, first: int, end: int) -> None:
    points = TASKS[name].points
    assert (points[0], points[-1], len(points)) == (first, end, 10)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_settings_are_hyperparameters_of_our_learners(task: ParityTask) -> None:
    algorithm = ALGORITHMS.load(task.algorithm)
    assert problems(algorithm.Hyperparameters, dict(task.fixed)) == []


def test_limits_end_the_task() -> None:
    class Two:
        """Ends at time 1, and is cut at time 2."""

        def step(self, key: Any, state: int, action: Any, task: Any) -> Step:
            return Step(jnp.zeros(1), state, jnp.float32(0), jnp.bool_(state == 1), jnp.bool_(state == 2), {})

    environment: Any = LimitsAreEnds(cast(Any, Two()))
    for time, over in ((0, False), (1, True), (2, True)):
        step = environment.step(None, time, None, None)
        assert (bool(step.terminated), bool(step.truncated)) == (over, False)


def test_critics_learn_actions_on_the_environments_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    class Drawn:
        def __init__(self, transitions: Any) -> None:
            self.transitions = transitions

        def _replace(self, transitions: Any) -> Drawn:
            return Drawn(transitions)

    class Batch:
        def __init__(self, action: Any) -> None:
            self.action = action

        def _replace(self, action: Any) -> Batch:
            return Batch(action)

    monkeypatch.setattr(SAC, "_learn_critics", lambda self, state, hp, drawn, *rest: drawn.transitions.action)
    learner = ActionsOnTwoScales(make_environment("gymnax:Pendulum-v1"))
    found = learner._learn_critics(None, None, Drawn(Batch(jnp.array([[-1.0], [0.25]]))), 0)
    np.testing.assert_allclose(found, [[-2.0], [0.5]])


def test_chunks_share_what_shapes_programs() -> None:
    due = {i: {"buffer_batch_size": (64, 128)[i % 2]} for i in range(20)}
    made = chunks(TASKS["cc_cartpole_dqn"], due)
    assert sorted(i for chunk in made for i in chunk) == list(range(20))
    assert max(map(len, made)) == 6  # 30 of 32 lanes
    assert all(len({due[i]["buffer_batch_size"] for i in chunk}) == 1 for chunk in made)


def test_results_are_read_as_written(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    one = Trained(3, ((1.0, 2.5), (None,)), ("completed", "diverged"), 1.25)
    append(path, "a", "ours", [one])
    append(path, "a", "reference", [one])
    append(path, "b", "ours", [Trained(4, ((1.0,),), ("completed",), 1.0)])
    assert read(path, "a", "ours") == {3: one}
    assert read(path, "c", "ours") == {}
    path.write_text(path.read_text() + "{broken\n")
    with pytest.raises(UsageError, match="line 4: not a result"):
        read(path, "a", "ours")


def test_a_training_that_diverged_counts_as_the_worst_but_not_for_sac() -> None:
    trained = {0: Trained(0, ((1.0, 9.0), (3.0,)), ("completed", "diverged"), 1.0)}
    assert command.ours(TASKS["cc_cartpole_dqn"], trained, 8.0).tolist() == [[9.0, 8.0]]
    np.testing.assert_equal(command.ours(TASKS["cc_pendulum_sac"], trained, 8.0), [[9.0, np.nan]])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A landscape of 24 configurations, and results for the first 20, as if they had been trained."""
    rows = landscape_rows()
    rows[9][3] = 1e-9  # configuration 0, seed 0, at the end: 'failed'
    write_landscape(tmp_path / "toy.csv.gz", rows)
    task = ParityTask("toy", "gymnax:CartPole-v1", "dqn", 1000, {}, configurations=20, seeds=3, failed_above=None)
    monkeypatch.setitem(command.TASKS, "toy", task)
    random, final = np.random.default_rng(5), {row[0]: float(str(row[3])) for row in rows if row[2] == 1000}
    trained = [
        Trained(c, tuple((final[c] + 0.3 * random.normal(),) for _ in range(3)), ("completed",) * 3, 2.0)
        for c in range(20)
    ]
    append(tmp_path / "results.jsonl", "toy", "reference", trained)
    return tmp_path


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["parity.py", *arguments])
    command.main()


def test_the_command_compares(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = str(folder / "results.jsonl")
    arguments = ["--data", str(folder), "--tasks", "toy", "--results", results, "--only-compare"]
    call(monkeypatch, *arguments, "--json")
    found = json.loads(capsys.readouterr().out)["tasks"]["toy"]
    assert found["passed"] is True
    assert found["trainings"] == 60
    assert found["cpu_seconds"] == 40.0
    assert len(found["differ_most"]) == command.WORST
    call(monkeypatch, *arguments)
    assert "20 configurations, 60 trainings, passed" in capsys.readouterr().out


def test_a_part_never_passes(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    results = folder / "results.jsonl"
    results.write_text("".join(results.read_text().splitlines(keepends=True)[:-1]))
    arguments = ["--data", str(folder), "--tasks", "toy", "cc_cartpole_dqn", "--results", str(results)]
    call(monkeypatch, *arguments, "--only-compare")
    captured = capsys.readouterr()
    assert "not all trained" in captured.out
    assert "cc_cartpole_dqn: no landscape" in captured.err


def test_failed_published_trainings_are_unknown(folder: Path) -> None:
    task = ParityTask("toy", "gymnax:CartPole-v1", "sac", 1000, {}, configurations=20, seeds=3, failed_above=90.0)
    _, scores = command.published(task, folder / "toy.csv.gz")
    assert np.isnan(scores).any()
    assert np.nanmax(scores) <= 90.0


def test_a_folder_that_is_not_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        call(monkeypatch, "--data", "absent")
    assert caught.value.code == 2
    assert "no such folder" in capsys.readouterr().err


def test_records_become_landscapes(tmp_path: Path) -> None:
    source, target = tmp_path / "record.csv", tmp_path / "toy.csv.gz"
    rows = landscape_rows()
    with source.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                "run_id",
                "budget",
                "performance",
                *(f"hp_config.{n}" for n in ("learning_rate", "batch", "replay", "alpha")),
                "seed",
            ]
        )
        writer.writerows([row[0], row[2], row[3], *row[4:], row[1]] for row in reversed(rows))
    assert compact(source, target) == len(rows)
    from _landscape_files import load_landscape

    made = load_landscape(target)
    direct = load_landscape(write_landscape(tmp_path / "direct.csv.gz", rows))
    np.testing.assert_allclose(made.returns, direct.returns, rtol=1e-5)
    source.write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="no column budget, performance, run_id, seed"):
        compact(source, target)
