"""The comparison of search methods on learners: its record, its figures, its budgets. Studies are tiny, or made up."""

import json
import sys

import _learner_problems as problems
import learners
import pytest

from autorl.api import specify
from autorl.engine.auto import self_contained
from autorl.errors import UsageError
from autorl.outer.methods import make_method
from autorl.outer.protocol import Budget, Result, Status
from autorl.spaces import load_space

WORK = {"trainings": 33, "env_steps": 50_000, "test_seeds": 10}


def line(method, seed, *test, problem="cartpole_dqn", **changes):
    return {
        **WORK,
        "problem": problem,
        "method": method,
        "seed": seed,
        "test": list(test),
        "spent": 30.0,
        "core_seconds": 60.0,
        **changes,
    }


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["learners.py", *map(str, arguments)])
    learners.main()


@pytest.mark.parametrize("method", problems.METHODS)
def test_every_method_is_given_the_same_work(method):
    given = problems.overrides("cartpole_dqn", method, 12, 10_000, 7, 3)
    made = specify(problems.PROBLEMS["cartpole_dqn"].experiment, given)
    assert made.budget.trainings * made.seeds.search == 12
    assert (made.finalists, made.seeds.study, made.seeds.test, made.budget.env_steps) == (1, 7, 3, 10_000)
    search = self_contained(made).search
    known = (search.method, None if search.policy is None else search.policy.name, isinstance(search.prior, dict))
    assert (
        known
        == {
            "auto": ("random", "race", True),
            "auto_no_prior": ("sobol", "race", False),
            "auto_half_prior": ("random", "race", True),
            "auto_model": ("tpe", "race", True),
            "auto_model_half_prior": ("tpe", "race", True),
            "auto_model_no_prior": ("tpe", "race", False),
            "tpe": ("tpe", None, False),
            "tpe_default": ("tpe", None, False),
            "gp": ("gp", None, False),
            "ngopt": ("_learner_nevergrad:NGOpt", None, False),
            "de_hyperband": ("de", "hyperband", False),
            "random3": ("random", None, False),
            "hyperband": ("random", "hyperband", False),
            "asha": ("random", "asha", False),
            "tpe_race": ("tpe", "race", False),
        }[method]
    )


@pytest.mark.parametrize("problem", problems.PROBLEMS)
def test_a_problem_is_its_experiments_with_one_setting_for_all(problem):
    known = problems.PROBLEMS[problem]
    made = specify(known.experiment, problems.overrides(problem, "auto", 32, known.env_steps, 0, 10))
    assert (made.evaluation.episodes, made.evaluation.points, made.evaluation.averaged) == (64, 10, 3)
    assert not made.baselines.default


def test_scores_are_means_of_studies_and_differences_are_paired():
    lines = [line("random3", s, s, s + 2) for s in range(4)] + [line("auto", s, s + 2, s + 4) for s in range(4)]
    lines.append(line("auto", 4, 100))
    found = learners.table(lines, ["auto", "random3", "gp"])
    assert set(found) == {"auto", "random3"}
    assert found["random3"]["score"] == 2.5
    assert found["auto"]["score"] == (3 + 4 + 5 + 6 + 100) / 5
    assert found["auto"]["difference"] == 2.0, "of the seeds that both have"
    assert found["auto"]["difference_interval"] == (2.0, 2.0)
    assert (found["auto"]["won"], found["auto"]["pairs"]) == (4, 4)
    low, high = found["random3"]["interval"]
    assert 1 <= low < 2.5 < high <= 4
    text = learners.shown(found)
    assert "+2" in text
    assert "4 of 4" in text


def test_ranks_are_means_over_problems_of_the_seeds_that_are_whole():
    lines = {
        "cartpole_dqn": [line("auto", s, 10.0) for s in (0, 1)] + [line("random3", s, 9.0) for s in (0, 1)],
        "pendulum_ppo": [line("auto", s, -10.0) for s in (0, 2)] + [line("random3", s, -10.0) for s in (0, 2)],
    }
    found = learners.ranks(lines, ["auto", "random3"])
    assert found["auto"] == {"rank": 1.25, "interval": None, "studies": 1}
    assert found["random3"]["rank"] == 1.75
    assert learners.ranks({"cartpole_dqn": lines["cartpole_dqn"]}, ["auto", "gp"]) == {}


def test_failed_trainings_and_missing_incumbents_count_as_the_worst():
    lines = [line("random3", 0, -200.0, None), line("auto", 0, -100.0, -120.0), line("auto", 1)]
    assert learners.mean_score(lines, lines[0]) == -200.0
    assert learners.mean_score(lines, lines[2]) == -200.0


def test_what_is_missing_is_run_and_kept(tmp_path, monkeypatch, capsys):
    record = tmp_path / "record.jsonl"
    record.write_text(json.dumps(line("auto", 100_000, 5.0)) + '\n{"trainings": 33, "env')
    asked = []

    class Done:
        returncode = 0

        def __init__(self, command, **_):
            asked.append(json.loads(command[-1]))
            self.stdout = json.dumps({"test": [1.0], "spent": 32.0, "core_seconds": 6.0})

    monkeypatch.setattr(learners.subprocess, "run", Done)
    given = ["--problems", "cartpole_dqn", "--methods", "auto", "random3", "--record", record]
    record.write_text(record.read_text() + "\n")
    call(monkeypatch, *given, "--study-seeds", 2, "--json")
    assert [(a[1], a[4]) for a in asked] == [("random3", 100_000), ("auto", 100_001), ("random3", 100_001)]
    assert asked[0] == ["cartpole_dqn", "random3", 33, 50_000, 100_000, 10]
    found = json.loads(capsys.readouterr().out)["cartpole_dqn"]
    assert (found["auto"]["score"], found["auto"]["difference"]) == (3.0, 2.0)
    call(monkeypatch, *given, "--study-seeds", 2)
    assert len(asked) == 3, "nothing is run twice"
    call(monkeypatch, *given, "--study-seeds", 2, "--trainings", 96, "--only-print")
    assert "no finished study" in capsys.readouterr().out, "of another budget"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--trainings", 5], "--trainings 5: expected a whole number of at least 6"),
        (["--trainings", 32], "--trainings 32: expected a multiple of 3"),
        (["--study-seeds", 0], "--study-seeds 0"),
        (["--choose", "--problems", "pendulum_ppo"], "which are for reporting"),
        (["--choose", "--first-seed", 99_999], "study seeds from 100000 on are for reporting"),
    ],
)
def test_wrong_calls_are_refused(monkeypatch, capsys, arguments, expected):
    with pytest.raises(SystemExit) as caught:
        call(monkeypatch, *arguments)
    assert caught.value.code == 2
    assert expected in capsys.readouterr().err


def test_a_line_that_is_no_study_is_named(tmp_path):
    path = tmp_path / "record.jsonl"
    path.write_text('{"what": 1}\n')
    with pytest.raises(UsageError, match="line 1 is no study"):
        learners.read(path, WORK)


def test_settings_are_chosen_where_nothing_is_reported(monkeypatch, capsys):
    call(monkeypatch, "--choose", "--estimate")
    few = capsys.readouterr().out
    call(monkeypatch, "--estimate", "--trainings", 96)
    assert few != capsys.readouterr().out
    assert not set(problems.CHOOSING) & set(problems.REPORTED)
    assert problems.estimate(["acrobot_dqn"], 1, 2, 74, None) == pytest.approx(
        4 * problems.estimate(["acrobot_dqn"], 1, 1, 32, None)
    )


@pytest.mark.slow
def test_a_study_is_run_and_gone_on_with(tmp_path, monkeypatch):
    monkeypatch.setattr(learners, "ROOT", tmp_path)
    found = learners.run_one("pendulum_ppo", "random3", 6, 8192, 3, 2)
    assert len(found["test"]) == 2
    assert found["spent"] == pytest.approx(6, abs=0.5)
    assert found["origins"] == {"sample": 2}
    again = learners.run_one("pendulum_ppo", "random3", 6, 8192, 3, 2)
    assert again["test"] == found["test"]
    assert again["core_seconds"] < found["core_seconds"]


def test_ngopt_asks_the_same_after_a_resume():
    pytest.importorskip("nevergrad")
    method = make_method("_learner_nevergrad:NGOpt", load_space("dqn_arlbench"), Budget(12, 100), 5)
    state, results = method.init(), []
    for number in range(12):
        (asked,) = method.ask(state, 1)
        assert method.ask(state, 1) == [asked]
        failed = number == 4
        score = None if failed else -abs(asked.candidate["learning_rate"] - 1e-3)
        results.append(Result(asked, Status.DIVERGED if failed else Status.COMPLETED, score))
        state = method.tell(state, results[-1:])
    assert method.finished(state)
    assert len({str(r.proposal.candidate) for r in results}) >= 10
    resumed = method.tell(method.init(), results[6::-1])
    assert method.ask(resumed, 1) == [results[7].proposal]
