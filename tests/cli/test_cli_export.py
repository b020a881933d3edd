"""`autorl export`: an experiment that trains the winner again, bit for bit."""

import pytest
import yaml
from command_line import call, experiment

import autorl
from autorl.interop.export import experiment_of


def replayed(study, tmp_path):
    path = tmp_path / "again.yaml"
    done = call("export", study, "--output", path)
    assert (done.code, done.out, done.err) == (0, f"{path}\n", "")
    run = call("run", path, "--root", tmp_path, "--name", "again", "--quiet", "baselines.default=false")
    assert run.code == 0, run.err
    return yaml.safe_load(path.read_text()), autorl.load(tmp_path / "again")


def winner(study):
    return next(t for t in study.trials("method", "test"))


def test_the_winner_of_a_search_trains_again_to_the_same_bit(finished, tmp_path):
    written, again = replayed(finished, tmp_path)
    assert written["name"] == "tuned-best"
    assert "search" not in written
    assert "schedule" not in written
    study = autorl.load(finished)
    assert set(study.best.items()) <= set(written["learner"]["hyperparameters"].items())
    ours, theirs = winner(study), winner(again)
    assert (theirs.seeds, theirs.scores, theirs.curves) == (ours.seeds, ours.scores, ours.curves)


def test_a_schedule_of_population_based_training_replays_to_the_same_bit(evolved, tmp_path):
    written, again = replayed(evolved, tmp_path)
    ours, theirs = winner(autorl.load(evolved)), winner(again)
    assert len(ours.schedule) > 1, "nothing is tested unless the winner is a schedule"
    assert [entry["until"] for entry in written["schedule"]] == [stage.until for stage in ours.schedule]
    assert [entry["hyperparameters"] for entry in written["schedule"]] == [dict(s.candidate) for s in ours.schedule]
    assert (theirs.seeds, theirs.scores, theirs.curves) == (ours.seeds, ours.scores, ours.curves)
    assert len(set(ours.scores[0])) > 1, "scores that are all alike would prove little"


def test_standard_output_holds_the_experiment_and_nothing_else(finished, tmp_path):
    text = call("export", finished).out
    assert yaml.safe_load(text)["description"].startswith("Best of study 'tuned' (trial ")
    (tmp_path / "piped.yaml").write_text(text)
    assert call("run", tmp_path / "piped.yaml", "--as-python").code == 0


@pytest.mark.parametrize("generation", [1, 2])
def test_a_study_under_way_exports_what_its_best_has_been_through(evolved, generation):
    study = autorl.load(evolved)
    trials = [t for t in study.trials() if t.generation <= generation]
    for best in (t for t in trials if t.generation == generation):
        written = yaml.safe_load(experiment_of(study.specification, best, trials))
        if "schedule" in written:
            assert written["budget"]["env_steps"] == written["schedule"][-1]["until"] == 256 * (generation + 1)
            assert written["schedule"][-1]["hyperparameters"] == best.candidate
        else:
            assert written["learner"]["hyperparameters"].items() >= best.candidate.items()


def test_before_any_trial_there_is_nothing_to_export(tmp_path):
    study = autorl.create(experiment(), name="new", root=tmp_path)
    done = call("export", study.path)
    assert (done.code, done.out) == (3, "")
    assert done.err == "error: nothing to export yet: no trial has completed. Go on with: autorl resume\n"


def test_ones_own_objective_has_no_experiment(tmp_path):
    space = {"dimensions": {"x": {"type": "float", "low": 0.0, "high": 1.0}}}
    spec = {"name": "own", "search": {"space": space, "method": "random"}, "budget": {"trainings": 2, "env_steps": 1}}
    with autorl.create(spec, root=tmp_path) as study:
        study.tell(study.ask(), 1.0)
    done = call("export", tmp_path / "own")
    assert (done.code, done.out) == (2, "")
    assert "the objective of study 'own' is your own" in done.err


@pytest.mark.parametrize(
    ("form", "start"),
    [("sb3", "arguments = {"), ("rl-zoo", "probe:observation_action_reward:"), ("cleanrl", "python cleanrl/ppo.py")],
)
def test_the_winner_for_another_library(finished, form, start):
    done = call("export", finished, "--to", form)
    assert (done.code, done.err) == (0, "")
    assert any(line.startswith(start) or line.startswith(f"'{start[:-1]}'") for line in done.out.splitlines()), done.out
    assert "has no Gymnasium id" in done.out, "a probe of ours"


def test_an_unknown_form_and_a_schedule_are_refused(finished, evolved):
    done = call("export", finished, "--to", "rlzoo")
    assert (done.code, done.out) == (2, "")
    assert done.err == "error: unknown form of export 'rlzoo'. Did you mean 'rl-zoo'?\n"
    done = call("export", evolved, "--to", "sb3")
    assert (done.code, done.out) == (2, "")
    assert "which no other library replays" in done.err
