"""A comparison gives every objective the same work, tunes each on seeds of its own, and goes on where it was stopped."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from autorl.analysis.comparison import render, summarise
from autorl.engine import objective_scores
from autorl.engine.comparison import best_configuration, compare, configurations, seeds_of
from autorl.engine.devices import start
from autorl.engine.lanes import Job, Outcome
from autorl.engine.progress import Event
from autorl.engine.session import Stopper
from autorl.errors import StudyInterrupted
from autorl.keys import role_of
from autorl.objectives.graphs.files import graph_to_json
from autorl.objectives.loader import load_objective
from autorl.outer.protocol import Status
from autorl.spaces.plain_values import OBJECTIVE
from autorl.studies.comparison import Comparison, from_mapping
from autorl.studies.objective_lines import FILE, FOLDER, read

SPACE = {"dimensions": {"gamma": {"type": "float", "low": 0.1, "high": 0.9}}}
GIVEN = 0.5
LOSSES = {name: graph_to_json(load_objective(name).graph) for name in ("dqn", "double_dqn", "dqnreg_paper")}


def comparison(**changes: Any) -> Comparison:
    fields = {
        "name": "small",
        "objectives": list(LOSSES),
        "learner": {"algorithm": "dqn", "hyperparameters": {"gamma": GIVEN}},
        "environment": [
            {"id": "probe:two_step", "score_range": [0, 1]},
            {"id": "probe:two_step", "task": {"reward": 2.0}, "env_steps": 50, "score_range": [0, 1]},
        ],
        "env_steps": 100,
        "seeds": {"test": 3, "tuning": 2},
        "evaluation": {"episodes": 2, "points": 2, "averaged": 2},
        "tuning": {"space": SPACE, "configurations": 4},
    }
    return from_mapping({**fields, **changes}, references=False)


def name_of(job: Job) -> str:
    return next(name for name, graph in LOSSES.items() if graph == job.plan[0].candidate[OBJECTIVE])


class Fake:
    """A trainer whose scores are the discounts that it is given; it counts its jobs, fails and stops as it is told to."""

    def __init__(self, fails: tuple[str, ...] = (), stops: int = 10**9) -> None:
        self.jobs: list[Job] = []
        self.calls: list[int] = []
        self.fails, self.stops = fails, stops

    def hyperparameters(self, environment: int, values: Any) -> None:
        pass

    def score(self, job: Job) -> float | None:
        gamma: float = job.plan[0].candidate["gamma"]
        return None if name_of(job) in self.fails else gamma if name_of(job) != "double_dqn" else -gamma

    def run(self, jobs: list[Job], *, stepped: Any, done: Any, saver: Any) -> None:
        self.calls.append(len(jobs))
        for i, job in enumerate(jobs):
            if len(self.jobs) >= self.stops:
                raise StudyInterrupted("stopped")
            self.jobs.append(job)
            score = self.score(job)
            steps = job.horizon if score is not None else 10
            stepped(steps)
            status = Status.DIVERGED if score is None else Status.COMPLETED
            done([i], [Outcome(status, score, (steps,), (score,), steps)])


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> list[Fake]:
    """The trainers of the next runs, in their order."""
    ready: list[Fake] = []
    given = iter(ready)
    monkeypatch.setattr(objective_scores, "_trainer", lambda question, devices, stopper: next(given))
    return ready


def test_every_objective_gets_the_same_configurations_seeds_and_steps(tmp_path: Path, fakes: list[Fake]) -> None:
    fakes.append(Fake())
    asked = comparison()
    found = compare(asked, tmp_path, [])
    work = {
        name: Counter(
            (j.environment, j.seed, j.plan[0].candidate["gamma"], j.horizon)
            for j in fakes[0].jobs
            if name_of(j) == name and role_of(j.seed) == "tuning"
        )
        for name in LOSSES
    }
    assert work["dqn"] == work["double_dqn"] == work["dqnreg_paper"]
    assert len(work["dqn"]) == 2 * 4 * 2
    assert {job.horizon for job in fakes[0].jobs if job.environment == 1} == {50}
    assert {job.averaged for job in fakes[0].jobs} == {2}
    given = summarise(asked, found)["work"]
    assert {(w["trainings"], w["granted_env_steps"]) for w in given["given"].values()} == {(6, 450)}
    assert {(w["trainings"], w["granted_env_steps"]) for w in given["tuned"].values()} == {(22, 11 * 150)}


def test_the_trainings_that_share_a_program_are_handed_over_together(tmp_path: Path, fakes: list[Fake]) -> None:
    fakes.append(Fake())
    compare(comparison(), tmp_path, [])
    assert fakes[0].calls == [3 + 4 * 2, 3] * 6, "as given and tuning together, then what was chosen"
    fakes.append(Fake())
    compare(comparison(tuning=None), tmp_path, [])
    assert fakes[1].calls == [], "and the first panel is the same without a tuning"


def test_the_tuning_picks_the_best_and_its_seeds_report_nothing(tmp_path: Path, fakes: list[Fake]) -> None:
    fakes.append(Fake())
    asked = comparison()
    found, gammas = compare(asked, tmp_path, []), [GIVEN, *(values["gamma"] for values in configurations(asked)[1:])]
    best, least = gammas.index(max(gammas)), gammas.index(min(gammas))
    assert {(c.objective, c.configuration) for c in found.choices} == {
        ("dqn", best),
        ("dqnreg_paper", best),
        ("double_dqn", least),
    }
    assert 0 not in (best, least)
    test, tuning = seeds_of(asked)
    assert not set(test) & set(tuning)
    assert {line["seed"] for line in [*found.given, *found.tuned]} == set(test)
    assert {line["seed"] for line in found.tuning} == set(tuning)
    assert {line["score"] for line in found.given if line["objective"] == "dqn"} == {GIVEN}
    assert {line["score"] for line in found.tuned if line["objective"] == "dqn"} == {max(gammas)}


def test_a_choice_that_is_the_given_one_is_not_trained_again(tmp_path: Path, fakes: list[Fake]) -> None:
    fakes.append(Fake())
    found = compare(comparison(learner={"algorithm": "dqn", "hyperparameters": {"gamma": 0.95}}), tmp_path, [])
    own = [job for job in fakes[0].jobs if name_of(job) == "dqn" and job.environment == 0]
    assert len(own) == 3 + 4 * 2
    first = [line for line in found.given if line["objective"] == "dqn"]
    assert [line for line in found.tuned if line["objective"] == "dqn"] == first


def test_a_diverging_objective_is_counted_and_ranks_last(tmp_path: Path, fakes: list[Fake]) -> None:
    fakes.append(Fake(fails=("dqnreg_paper",)))
    asked = comparison()
    result = summarise(asked, compare(asked, tmp_path, []))
    for panel in result["panels"].values():
        broken = panel["objectives"]["dqnreg_paper"]
        assert (broken["failed"], broken["trainings"]) == (6, 6)
        assert broken["iqm"] == min(own["iqm"] for own in panel["objectives"].values())
        (against,) = [pair for pair in panel["pairs"] if pair["objective"] == "dqnreg_paper"]
        assert (against["against"], against["probability"], against["verdict"]) == ("dqn", 0.0, "dqn is better")
    work = result["work"]["given"]["dqnreg_paper"]
    assert (work["failed"], work["granted_env_steps"], work["train_env_steps"]) == (6, 450, 60)
    assert "dqnreg_paper: 6 of 6 trainings failed" in render(result)


def test_a_stop_loses_nothing_and_nothing_is_trained_twice(tmp_path: Path, fakes: list[Fake]) -> None:
    fakes += [Fake(), Fake(stops=20), Fake(stops=15), Fake(), Fake()]
    asked = comparison()
    whole = compare(asked, tmp_path / "whole", [])
    for _ in range(2):
        with pytest.raises(StudyInterrupted):
            compare(asked, tmp_path / "parts", [])
    assert compare(asked, tmp_path / "parts", []) == whole
    assert (
        sum(len(fake.jobs) for fake in fakes[1:4])
        == len(fakes[0].jobs)
        == len(read(tmp_path / "whole" / FOLDER / FILE))
    )
    assert compare(asked, tmp_path / "parts", []) == whole
    assert not fakes[4].jobs


def test_progress_plans_each_training_once_and_reaches_its_end(tmp_path: Path, fakes: list[Fake]) -> None:
    fakes += [Fake(), Fake()]
    for _ in range(2):
        events: list[Event] = []
        compare(comparison(), tmp_path, [], events.append)
        last = events[-1]
        assert events[0].phase == "comparison"
        assert (last.trials, last.env_steps) == (last.trials_total, last.env_steps_total)
        assert last.trials == len(fakes[0].jobs)
        assert last.env_steps == sum(job.horizon for job in fakes[0].jobs)


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ([[1.0, 1.0], [2.0, 2.0], [0.0, 3.9]], 1),
        ([[1.0, 1.0], [1.0, 1.0]], 0),
        ([[1.0, None], [0.5, 0.6]], 0),
        ([[0.5, None], [0.5, 0.5]], 1),
        ([[None, None], [-9.0, -9.0]], 1),
        ([[None], [None]], 0),
    ],
    ids=["mean", "first of equals", "failure is the worst of all", "fewer failures of equals", "all failed", "nothing"],
)
def test_the_best_configuration(scores: list[list[float | None]], best: int) -> None:
    assert best_configuration(scores) == best


def test_configurations_begin_as_given_and_depend_on_the_seed_alone() -> None:
    made = configurations(comparison())
    assert made[0] == {}
    assert len({values["gamma"] for values in made[1:]}) == 3
    assert made == configurations(comparison(objectives=["dqn"], environment="probe:two_step"))
    assert made != configurations(comparison(seeds={"study": 1}))
    assert configurations(comparison(tuning=None)) == []


@pytest.mark.bits
def test_a_real_comparison_resumes_in_the_middle_of_a_training_with_the_same_bits(tmp_path: Path) -> None:
    learner = {"hidden_size": 8, "learning_starts": 32, "buffer_size": 64, "learning_rate": 1e30}
    asked = comparison(
        objectives=["dqn"],
        learner={"algorithm": "dqn", "hyperparameters": learner},
        environment={"id": "probe:observation_action_reward", "score_range": [0, 1]},
        env_steps=512,
        evaluation={"episodes": 4, "points": 4, "averaged": 2},
        tuning={
            "space": {"dimensions": {"learning_rate": {"type": "float", "low": 1e-3, "high": 1e-2}}},
            "configurations": 3,
        },
    )
    whole = compare(asked, tmp_path / "whole", start())
    assert [line["status"] for line in whole.given] == ["diverged"] * 3, "the given one is clearly bad"
    assert whole.choices[0].configuration > 0
    assert [line["status"] for line in whole.tuned] == ["completed"] * 3
    stopper, steps = Stopper(""), []

    def stop(event: Event) -> None:
        steps.append(event.env_steps)
        if event.env_steps > 100:
            stopper.request()

    with pytest.raises(StudyInterrupted):
        compare(asked, tmp_path / "parts", start(), stop, stopper)
    folder = tmp_path / "parts" / FOLDER
    assert (folder / "inflight.npz").exists()
    again: list[Event] = []
    parts = compare(asked, tmp_path / "parts", start(), again.append)
    assert not (folder / "inflight.npz").exists()
    seen = [
        [{**line, "wall_seconds": 0} for line in found] for one in (whole, parts) for found in (one.given, one.tuned)
    ]
    assert seen[:2] == seen[2:]
    assert whole.choices == parts.choices
    trained = sum(line["train_env_steps"] for line in read(folder / FILE).values())
    assert again[-1].env_steps + steps[-1] == trained, "no env step was trained twice"
