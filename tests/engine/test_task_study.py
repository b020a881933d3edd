"""Driven choice of training tasks: what is asked is trained once and kept, a stopped run goes on to the same end, the ledger holds all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from autorl.engine.devices import start
from autorl.engine.task_study import Chosen, Policies, evolve, opened, select
from autorl.engine.task_training import Training, Transfer
from autorl.errors import StudyError, StudyInterrupted, StudyLockedError, UsageError
from autorl.outer.tasks.methods import TASK_METHODS
from autorl.outer.tasks.rolling_horizon import RollingHorizon
from autorl.studies.json_lines import locked
from autorl.studies.policy_lines import Source
from autorl.studies.trial import Json

CELLS = np.stack(np.meshgrid(np.arange(4), np.arange(4), indexing="ij"), axis=-1).reshape(-1, 2).astype(float)
NEAR = 1.0 - np.abs(CELLS[:, None] - CELLS[None]).sum(axis=-1) / 10


class Fake:
    """Policies that score well near the tasks they were trained on; ``stops`` after so many of them, as a kill would."""

    def __init__(self, stops: int = 10**9) -> None:
        self.trained: list[Source] = []
        self.stops = stops

    def __call__(self, sources: Sequence[Source], done: Callable[[int, Json], None]) -> None:
        for index, source in enumerate(sources):
            if len(self.trained) == self.stops:
                raise StudyInterrupted("killed")
            self.trained.append(source)
            row = NEAR[list(source.tasks)].max(axis=0) - 0.01 * (source.seed % 3)
            steps = {"train_env_steps": 100, "evaluation_env_steps": 32}
            done(index, {"status": "completed", "shown": row.tolist(), "judged": (row - 0.1).tolist(), **steps})


def selected(kept: Policies) -> list[Chosen]:
    methods = [TASK_METHODS.load(name)(CELLS, seed) for seed in (0, 1) for name in ("random", "mgp_mbtl")]
    return select(methods, [0, 0, 1, 1], 6, kept)


def evolved(kept: Policies) -> list[Chosen]:
    return [evolve(RollingHorizon(16, horizon=2, population=3, generations=2), 5, 30, kept)]


@pytest.mark.parametrize("run", [selected, evolved])
def test_a_stopped_run_goes_on_and_ends_as_one_that_was_not(tmp_path: Path, run: Callable[[Policies], object]) -> None:
    whole, rest = Fake(), Fake()
    with opened(tmp_path / "whole.jsonl", "q", whole) as kept:
        wanted = run(kept)
    file = tmp_path / "stopped.jsonl"
    with pytest.raises(StudyInterrupted), opened(file, "q", Fake(stops=7)) as kept:
        run(kept)
    with file.open("a") as half:
        half.write('{"key": "q", "se')  # a kill while writing
    with opened(file, "q", rest) as kept:
        assert run(kept) == wanted
    assert file.read_text() == (tmp_path / "whole.jsonl").read_text()
    assert rest.trained == whole.trained[7:], "nothing is trained twice"
    assert len(set(whole.trained)) == len(whole.trained)


def test_the_ledger_is_of_each_run_and_what_judges_is_not_what_chooses(tmp_path: Path) -> None:
    fake = Fake()
    with opened(tmp_path / "lines.jsonl", "q", fake) as kept:
        found = selected(kept)
    assert all(one.env_steps == {"train": 600, "evaluation": 192} for one in found)
    assert len(fake.trained) < 24, "runs of one seed share a policy that both asked for"
    for one in found:
        rows = NEAR[[source.tasks[0] for source in one.sources]] - 0.01 * (one.sources[0].seed % 3)
        assert one.served == pytest.approx(rows.max(axis=0).mean() - 0.1)
        assert one.alone == pytest.approx(rows.mean(axis=1).max() - 0.1)


def test_evolution_keeps_to_its_trainings_and_serves_by_what_was_committed(tmp_path: Path) -> None:
    with opened(tmp_path / "lines.jsonl", "q", Fake()) as kept:
        (found,) = evolved(kept)
        assert 12 <= len(found.sources) <= 30
        assert found.env_steps["train"] == 100 * len(found.sources)
        student = found.sources[found.student]
        assert len(student.tasks) >= 2
        best = np.max([np.mean(line["judged"]) for s, line in kept.kept.items() if len(s.tasks) == 1])
        assert found.alone > best, "a second task helps"
        with pytest.raises(UsageError, match="at least 12"):
            evolve(RollingHorizon(16, horizon=2, population=3, generations=2), 5, 11, kept)


def test_other_questions_stand_in_the_same_file_and_damage_is_told(tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    for key in ("one", "two"):
        with opened(file, key, Fake()) as kept:
            kept.of([Source(0, (3,))])
            assert list(kept.kept) == [Source(0, (3,))]
    assert len(file.read_text().splitlines()) == 2
    with locked(file), pytest.raises(StudyLockedError, match="training policies"), opened(file, "one", Fake()):
        pass
    file.write_text("{}\n")
    with pytest.raises(StudyError, match="line 1 is damaged"), opened(file, "one", Fake()):
        pass


def test_wrong_input_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path / "lines.jsonl", "q", Fake()) as kept:
        method = TASK_METHODS.load("random")(CELLS, 0)
        with pytest.raises(UsageError, match="1 to 16"):
            select([method], [0], 17, kept)
        with pytest.raises(UsageError, match="one for each of 1 methods"):
            select([method], [0, 1], 2, kept)
    given = {"environment": "contextual:CartPole-v1", "side": 2, "env_steps": 64, "score_range": (0.0, 500.0)}
    for wrong, match in (
        ({"ranges": {}}, "at least one"),
        ({"ranges": {"length": None}, "attempts": 3}, "even"),
        ({"ranges": {"length": None}, "score_range": (1.0, 1.0)}, "low < high"),
        ({"ranges": {"length": None}, "side": 1}, "side: expected at least 2"),
    ):
        with pytest.raises(UsageError, match=match):
            Transfer(**{**given, **wrong})


def test_policies_are_trained_on_their_own_tasks_and_go_on_from_one_to_the_next(tmp_path: Path) -> None:
    small = {"hidden_size": 4, "n_layers": 1, "n_envs": 2, "n_steps": 16, "update_epochs": 1, "minibatch_size": 32}
    small |= {"anneal_learning_rate": False}
    asked = Transfer(
        "contextual:CartPole-v1", {"length": (0.1, 1.0)}, 2, 64, (0.0, 500.0), longest=2, hyperparameters=small
    )
    assert asked.cells.tolist() == [[0.0], [1.0]]
    training = Training(asked, start()[:2])
    lengths = training.trainer.exams[0].tasks["length"]
    assert lengths == pytest.approx([0.1, 1.0])
    sources = [Source(1, (0,)), Source(1, (1,)), Source(1, (0, 1))]
    with opened(tmp_path / "lines.jsonl", asked.key, training) as kept:
        lines = [kept.of([source])[0] for source in sources]
    assert [line["train_env_steps"] for line in lines] == [64, 64, 64], "a lesson's own, not those before it"
    assert all(line["evaluation_env_steps"] > 0 and len(line["shown"]) == 2 for line in lines)
    first, second = (training._states[source] for source in sources[:2])
    assert not np.array_equal(first.adam.parameters, second.adam.parameters), "the task is another one"
    training._states.clear()  # as after a kill
    with opened(tmp_path / "again.jsonl", asked.key, training) as kept:
        assert kept.of([sources[2]]) == [lines[2]]
