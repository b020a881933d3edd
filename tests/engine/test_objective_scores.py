"""Scores of objectives are trained once, kept line by line, and found again whatever else is asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autorl.engine import objective_scores
from autorl.engine.devices import start
from autorl.engine.lanes import Job, Outcome
from autorl.engine.objective_scores import Place, Question, measure
from autorl.engine.session import Stopper
from autorl.errors import IncompatibleError, StudyError, StudyInterrupted, StudyLockedError, UsageError
from autorl.keys import training_seeds
from autorl.objectives.loader import load_objective
from autorl.outer.protocol import Status
from autorl.studies.json_lines import locked
from autorl.studies.objective_lines import FILE, FOLDER, read

SMALL = {"hidden_size": 8, "learning_starts": 32, "buffer_size": 64}


def question(*names: str, **changes: Any) -> Question:
    """Return a question of one or more environments that are trained alike."""
    environments = changes.pop("environments", ("probe:constant_reward",))
    given = {"env_steps": 100, "task": {}, "hyperparameters": {}} | {
        key: changes.pop(key) for key in ("env_steps", "task", "hyperparameters") if key in changes
    }
    places = tuple(Place(environment, **given) for environment in environments)
    return Question(tuple(load_objective(name) for name in names), places, **{"episodes": 2, **changes})


def seeds(count: int = 2, study: int = 0) -> tuple[int, ...]:
    return training_seeds(study, "test", count)


class Fake:
    """A trainer whose scores are the seeds' last digits; it counts its jobs."""

    def __init__(self, stopper: Stopper, fails: int = -1, stops: int = 10**9) -> None:
        self.jobs: list[Job] = []
        self.stopper, self.fails, self.stops = stopper, fails, stops

    def hyperparameters(self, environment: int, values: Any) -> None:
        pass

    def run(self, jobs: list[Job], *, stepped: Any, done: Any, saver: Any) -> None:
        for i, job in enumerate(jobs):
            if len(self.jobs) >= self.stops:
                raise StudyInterrupted("stopped")
            self.jobs.append(job)
            stepped(100)
            failed = len(self.jobs) - 1 == self.fails
            status = Status.DIVERGED if failed else Status.COMPLETED
            done([i], [Outcome(status, None if failed else float(job.seed % 10), (100,), (1.0,), 100)])


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> list[Fake]:
    made: list[Fake] = []

    def make(question: Question, devices: Any, stopper: Stopper) -> Fake:
        made.append(Fake(stopper))
        return made[-1]

    monkeypatch.setattr(objective_scores, "_trainer", make)
    return made


def test_a_larger_question_trains_only_what_is_new(tmp_path: Path, fake: list[Fake]) -> None:
    first = measure(question("dqn"), seeds(), tmp_path, [])
    assert [len(f.jobs) for f in fake] == [2]
    assert measure(question("dqn"), seeds(), tmp_path, []) == first
    assert len(fake[1].jobs) == 0
    more = measure(question("dqn", "double_dqn"), seeds(3), tmp_path, [])
    assert len(fake[2].jobs) == 4  # one more seed of the first, three of the second
    assert more[:2] == first
    assert [(e["objective"], e["seed"]) for e in more] == [
        (name, seed) for name in ("dqn", "double_dqn") for seed in seeds(3)
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"env_steps": 200},
        {"task": {"reward": 2.0}},
        {"episodes": 3},
        {"points": 4},
        {"averaged": 2},
        {"hyperparameters": {"gamma": 0.9}},
        {"learner": "ppo"},
        {"environments": ("probe:two_step",)},
    ],
)
def test_whatever_decides_a_score_makes_another_one(tmp_path: Path, fake: list[Fake], changes: dict[str, Any]) -> None:
    measure(question("dqn"), seeds(), tmp_path, [])
    measure(question("dqn", **changes), seeds(), tmp_path, [])
    assert len(fake[1].jobs) == 2


def test_another_version_of_the_environments_library_makes_another_score(monkeypatch: pytest.MonkeyPatch) -> None:
    def identities() -> dict[str, str]:
        asked = (question("dqn", environments=(name,)) for name in ("probe:two_step", "gymnax:CartPole-v1"))
        return {q.places[0].environment: q.identity(q.grid([0])[0]) for q in asked}

    before, known = identities(), objective_scores.version
    monkeypatch.setattr(objective_scores, "version", lambda name: "99" if name == "gymnax" else known(name))
    changed = [name for name, identity in identities().items() if identity != before[name]]
    assert changed == ["gymnax:CartPole-v1"]


def test_a_default_that_is_given_is_no_other_score_but_another_default_is() -> None:
    asked, given = question("dqn"), question("dqn", hyperparameters={"gamma": 0.99})
    identity = asked.identity(asked.grid([0])[0])
    assert given.identity(given.grid([0])[0]) == identity
    assert asked.defaults["gamma"] == 0.99
    asked.defaults["gamma"] = 0.9
    assert asked.identity(asked.grid([0])[0]) != identity


def test_the_name_does_not_matter_but_the_graph_does(tmp_path: Path, fake: list[Fake]) -> None:
    copy = tmp_path / "mine.json"
    copy.write_text((load_objective("dqn").folder / "graph.json").read_text())
    measure(question("dqn"), seeds(), tmp_path, [])
    again = measure(question(str(copy), "dqn"), seeds(), tmp_path, [])
    assert len(fake[1].jobs) == 0
    assert [e["objective"] for e in again] == ["mine", "mine", "dqn", "dqn"]


def test_what_ended_before_a_stop_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Fake] = []
    limits = iter([3, 10**9])

    def make(question: Question, devices: Any, stopper: Stopper) -> Fake:
        made.append(Fake(stopper, stops=next(limits)))
        return made[-1]

    monkeypatch.setattr(objective_scores, "_trainer", make)
    asked = question("dqn", "double_dqn")
    with pytest.raises(StudyInterrupted):
        measure(asked, seeds(4), tmp_path, [])
    path = tmp_path / FOLDER / FILE
    assert len(read(path)) == 3
    with path.open("ab") as file:
        file.write(b'{"key": "half a li')  # a kill while writing
    assert len(measure(asked, seeds(4), tmp_path, [])) == 8
    assert len(made[1].jobs) == 5
    assert len(read(path)) == 8


def test_a_failed_training_is_a_result_and_a_crash_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Fake] = []

    class Crashing(Fake):
        def run(self, jobs: list[Job], *, stepped: Any, done: Any, saver: Any) -> None:
            self.jobs += jobs
            done([0], [Outcome(Status.DIVERGED, None, message="not finite")])
            if len(jobs) > 1:
                done([1], [Outcome(Status.CRASHED, None, message="a disk was full")])

    def make(question: Question, devices: Any, stopper: Stopper) -> Fake:
        made.append(Crashing(stopper))
        return made[-1]

    monkeypatch.setattr(objective_scores, "_trainer", make)
    lines = measure(question("dqn"), seeds(), tmp_path, [])
    assert [(e["status"], e["score"]) for e in lines] == [("diverged", None), ("crashed", None)]
    measure(question("dqn"), seeds(), tmp_path, [])
    assert [len(f.jobs) for f in made] == [2, 1]


@pytest.mark.parametrize("text", [b"not json\n", b"[]\n", b"{}\n", b'{"key": "k", "score": "9"}\n'])
def test_a_damaged_line_is_named(tmp_path: Path, fake: list[Fake], text: bytes) -> None:
    measure(question("dqn"), seeds(), tmp_path, [])
    path = tmp_path / FOLDER / FILE
    path.write_bytes(text + path.read_bytes())
    with pytest.raises(StudyError, match="line 1 is damaged"):
        measure(question("dqn"), seeds(), tmp_path, [])


def test_two_processes_do_not_write_together(tmp_path: Path, fake: list[Fake]) -> None:
    with locked(tmp_path / FOLDER / FILE), pytest.raises(StudyLockedError, match="another process"):
        measure(question("dqn"), seeds(), tmp_path, [])


def test_wrong_questions_are_refused(tmp_path: Path) -> None:
    for changes, message in (
        ({"environments": ()}, "environments: expected at least one"),
        ({"environments": ("a", "a")}, "each once"),
        ({"averaged": 0}, "averaged: expected a whole number"),
        ({"env_steps": 0}, "env_steps: expected"),
        ({"hyperparameters": {"objective": "dqn"}}, "objective"),
    ):
        with pytest.raises(UsageError, match=message):
            question("dqn", **changes)
    with pytest.raises(UsageError, match="each once"):
        question("dqn", "dqn")


def test_what_does_not_fit_together_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(IncompatibleError, match="ppo"):
        measure(question("dqn", "ppo_clip"), seeds(), tmp_path, start())
    with pytest.raises(UsageError, match="learning_rat"):
        measure(question("dqn", hyperparameters={"learning_rat": 1}), seeds(), tmp_path, start())
    assert not (tmp_path / FOLDER / FILE).exists()


@pytest.mark.bits
@pytest.mark.slow
def test_an_objective_learns_its_probe_and_its_bits_do_not_depend_on_company(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "hyperparameters": {**SMALL, "learning_rate": 1e-2},
        "env_steps": 256,
        "environments": ("probe:two_step",),
    }
    (alone,) = measure(question("dqnreg_paper", **settings), seeds(1), tmp_path / "alone", start())
    assert alone["status"] == "completed"
    assert json.loads((tmp_path / "alone" / FOLDER / FILE).read_text())["score"] == alone["score"]
    both = measure(question("dqn", "dqnreg_paper", **settings), seeds(2), tmp_path / "both", start())
    same = [e for e in both if (e["objective"], e["seed"]) == ("dqnreg_paper", alone["seed"])]
    assert [e["returns"] for e in same] == [alone["returns"]]
    assert [e["train_env_steps"] for e in both] == [256] * 4
