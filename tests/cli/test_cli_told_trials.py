"""Trials of Optuna's own studies in ours: trained again, told, or taught to a prior."""

import json

import pytest
import yaml
from command_line import call

import autorl
from autorl.errors import AutoRLError
from autorl.outer.protocol import Status

optuna = pytest.importorskip("optuna")


def cost(x, n):
    return (x - 2) ** 2 + 0.1 * n


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """The space and the trials of a study of Optuna that minimised, one of them pruned and one failed."""
    root = tmp_path_factory.mktemp("optuna")
    backend = optuna.storages.journal.JournalFileBackend(str(root / "optuna.log"))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.JournalStorage(backend)
    study = optuna.create_study(storage=storage, study_name="theirs", sampler=optuna.samplers.RandomSampler(seed=1))

    def objective(trial):
        x, n = trial.suggest_float("x", -5, 5), trial.suggest_int("n", 1, 9)
        if trial.number == 3:
            raise optuna.TrialPruned
        if trial.number == 4:
            raise ValueError
        return cost(x, n)

    study.optimize(objective, n_trials=14, catch=ValueError)
    done = call("import", "optuna", root / "optuna.log", "-o", root / "space.yaml", "--trials", root / "trials.jsonl")
    assert done.code == 0, done.err
    return root


def create(root, imported, warm_start, trainings=20, **search):
    plain = {
        "search": {"space": str(imported / "space.yaml"), "method": "tpe", "warm_start": warm_start, **search},
        "budget": {"trainings": trainings, "env_steps": 1},
    }
    return autorl.create(plain, name="ours", root=root)


def lines(imported):
    return [json.loads(line) for line in (imported / "trials.jsonl").read_text().splitlines()]


def test_the_best_configurations_are_tried_again_first(tmp_path, imported):
    with create(tmp_path, imported, str(imported / "trials.jsonl")) as study:
        asked = [study.ask() for _ in range(6)]
    best = sorted((e for e in lines(imported) if e["status"] == "completed"), key=lambda e: -e["score"])[:5]
    assert [dict(p.candidate) for p in asked[:5]] == [e["candidate"] for e in best]
    assert [p.origin for p in asked] == ["start"] * 5 + ["sample"]
    assert best[0]["score"] == -min(cost(**e["candidate"]) for e in lines(imported) if e["status"] == "completed")
    assert study.results() == [], "their scores are of nobody knows what"
    assert "It began with 5 configurations of" in study.result["warm_start"]["sentences"][0]


def test_scores_of_the_same_metric_are_told_and_count(tmp_path, imported):
    given = {"study": str(imported / "trials.jsonl"), "same_metric": True}
    with create(tmp_path, imported, given) as study:
        told = study.results()
        assert study.ask().number == 14
        assert study.ask().origin == "model"
    assert [r.status for r in told] == [
        {"completed": Status.COMPLETED, "pruned": Status.PRUNED, "failed": Status.CRASHED}[e["status"]]
        for e in lines(imported)
    ]
    assert [r.score for r in told] == [e["score"] for e in lines(imported)]
    assert (told[3].status, told[4].status) == (Status.PRUNED, Status.CRASHED)
    assert study.best_trial.score == max(r.score for r in told if r.score is not None)
    assert "what they cost is not known" in " ".join(study.result["warm_start"]["sentences"])


def test_a_prior_learns_from_them(tmp_path, imported):
    path = tmp_path / "prior.yaml"
    arguments = ("prior", "fit", imported / "trials.jsonl", "-o", path)
    done = call(*arguments, "--space", imported / "space.yaml")
    assert (done.code, done.out) == (0, f"{path}\n")
    effects = yaml.safe_load(path.read_text())["tasks"]["trials"]["effects"]
    assert effects["x"][0] == min(effects["x"]), "far from 2"
    assert "--space: missing" in call(*arguments).err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "no trial in it"),
        ("nonsense", "line 1: no JSON"),
        ('{"score": 1}', r"line 1: expected {.candidate"),
        ('{"candidate": {"x": 1, "n": 1}, "score": null}', "line 1: score: expected a finite number"),
        ('{"candidate": {"x": 1, "n": 1}, "score": 1, "status": "won"}', "status: expected one of completed"),
        ('{"candidate": {"x": 1, "n": 1}, "score": 1, "status": []}', r"status: expected one of completed.*got \[\]"),
        ('{"candidate": {"x": 9, "n": 1}, "score": 1}', "can be taken over: x is out of range"),
        ('{"candidate": {"x": 1, "n": 1}, "score": null, "status": "failed"}', "no trial of .* has completed"),
    ],
)
def test_files_that_are_none_are_refused(tmp_path, imported, text, expected):
    path = tmp_path / "own.jsonl"
    path.write_text(text)
    with pytest.raises(AutoRLError, match=expected):
        create(tmp_path, imported, str(path))
    assert not (tmp_path / "ours").exists()


@pytest.mark.parametrize(
    ("warm_start", "search", "expected"),
    [
        ({"study": "gone.jsonl"}, {}, "there is no file 'gone.jsonl'"),
        ({"same_metric": True, "retrain": 3}, {}, "same_metric: .* Remedy: leave one out"),
        ({"same_metric": True}, {"method": "random"}, "random search learns nothing"),
        ({"study": "elsewhere", "same_metric": True}, {}, "same_metric: it is for files of trials"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path, imported, warm_start, search, expected):
    with pytest.raises(AutoRLError, match=expected):
        create(tmp_path, imported, {"study": str(imported / "trials.jsonl"), **warm_start}, **search)
