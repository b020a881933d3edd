"""Which prior a study draws by, and what finished studies teach one. No agent is trained."""

import pytest

import autorl
from autorl.engine.auto import self_contained
from autorl.engine.methods import is_random_search, method_of
from autorl.engine.prior_trials import tried_in
from autorl.errors import UsageError
from autorl.outer.prior_files import load_prior, prior_file, shipped_prior
from autorl.outer.prior_fit import fit_prior
from autorl.outer.protocol import Status
from autorl.studies.specification import from_mapping
from autorl.studies.trial import AT_HURDLE, Trial

SPACE = {"dimensions": {"x": {"type": "float", "low": -5, "high": 5}, "n": {"type": "int", "low": 1, "high": 9}}}


def specified(environment="gymnax:CartPole-v1", **search):
    return from_mapping(
        {
            "environment": environment,
            "learner": "dqn",
            "search": {"space": "dqn_arlbench", **search},
            "budget": {"trainings": 32, "env_steps": 50_000},
            "evaluation": {"points": 10},
        }
    )


def test_auto_draws_by_what_was_learned_elsewhere():
    search = self_contained(specified()).search
    shipped = shipped_prior("dqn")
    assert load_prior(search.prior) == shipped.without({"gymnax:CartPole-v1"}) != shipped
    assert "Prior dqn draws candidates; it was learned from atari_battle_zone_dqn" in search.chosen
    assert "cc_cartpole" not in search.chosen
    assert (
        self_contained(specified("gymnax:FourRooms-misc")).search.prior
        == self_contained(specified("gymnax:Catch-bsuite")).search.prior
    )


def test_a_study_begins_with_the_default_then_as_the_prior_says():
    kept = self_contained(specified())
    method = method_of(kept, "method")
    asked = method.ask(method.init(), 6)
    assert [p.origin for p in asked] == ["start"] + ["prior"] * 5
    baseline = method_of(kept, "random")
    assert {p.origin for p in baseline.ask(baseline.init(), 6)} == {"sample"}, "random search stays what it is"


def test_none_is_none_and_a_named_method_has_none_unless_asked():
    assert self_contained(specified(prior="none")).search.prior == "none"
    assert self_contained(specified(method="random")).search.prior is None
    drawn = self_contained(specified(method="random", prior="auto"))
    assert load_prior(drawn.search.prior).name == "dqn"
    assert not is_random_search(drawn), "so the baseline stands beside it"
    assert is_random_search(self_contained(specified(method="random")))
    elsewhere = self_contained(specified("contextual:CartPole-wide-visible")).search.prior
    assert load_prior(elsewhere) == shipped_prior("dqn").without({"gymnax:CartPole-v1"})


def test_a_file_is_written_into_the_study(tmp_path):
    prior = shipped_prior("dqn")
    path = tmp_path / "own.yaml"
    path.write_text(prior_file(prior))
    kept = self_contained(specified(method="random", prior=str(path)))
    path.unlink()
    assert load_prior(kept.search.prior) == prior, "one's own file is taken as it is, this environment included"
    assert method_of(kept, "method").prior == prior


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ({"prior": "gone.yaml"}, "search.prior: prior 'gone.yaml': no such file"),
        ({"prior": "mine"}, "search.prior: prior 'mine': expected auto, none, or a path that ends in .yaml"),
        ({"prior": 3}, "search.prior: expected auto, none, or the path of a file"),
        ({"prior": "PPO"}, "search.prior: prior 'ppo' was learned with ppo, and this learner is dqn"),
        ({"prior": "DQN", "method": "sobol"}, "search.prior: search method 'sobol' draws nothing"),
        ({"prior": "auto", "method": "sobol"}, "search.prior: search method 'sobol' draws nothing"),
    ],
)
def test_priors_that_do_not_fit_are_refused(tmp_path, search, expected):
    given = search["prior"]
    if given in ("PPO", "DQN"):
        path = tmp_path / "p.yaml"
        path.write_text(prior_file(shipped_prior(given.lower())))
        search = {**search, "prior": str(path)}
    with pytest.raises(UsageError, match=r"search\.prior") as caught:
        specified(**search)
    assert expected in str(caught.value)


def trial(number, env_steps, status, score=None):
    values = {AT_HURDLE: score} if status is Status.PRUNED else {}
    own = None if status is Status.PRUNED else score
    return Trial(
        "method", "search", number, {"x": 0.1 * number, "n": 1}, env_steps, status=status, score=own, values=values
    )


def test_who_trained_further_ranks_before_who_was_stopped():
    spec = from_mapping({"search": {"space": SPACE, "method": "random"}, "budget": {"trainings": 9, "env_steps": 1}})
    trials = [
        trial(0, 20, Status.PRUNED, 500.0),
        trial(1, 100, Status.COMPLETED, 3.0),
        trial(2, 100, Status.COMPLETED, 7.0),
        trial(3, 40, Status.PRUNED, 1.0),
        trial(4, 100, Status.DIVERGED),
        trial(5, 20, Status.CRASHED),
        trial(6, 20, Status.RUNNING),
        trial(7, 40, Status.PRUNED, 1.0),
    ]
    found = tried_in("s", spec, trials)
    by_number = dict(zip([0, 1, 2, 3, 4, 5, 7], found.merits, strict=True))
    assert by_number == {4: 0.0, 5: 0.0, 0: 1.0, 3: 2.0, 7: 2.0, 1: 3.0, 2: 4.0}


def test_a_told_study_teaches_the_next(tmp_path):
    with autorl.create(
        {"name": "told", "search": {"space": SPACE, "method": "random"}, "budget": {"trainings": 40, "env_steps": 1}},
        root=tmp_path,
    ) as study:
        for _ in range(40):
            asked = study.ask()
            study.tell(asked, -abs(asked.candidate["x"] - 3))
        found = tried_in("told", study.specification, study.trials())
    prior = fit_prior("mine", None, "here", [found])
    assert prior.noise == 1.0
    assert prior.effects["x"].argmax() in (3, 4)
    path = tmp_path / "mine.yaml"
    path.write_text(prior_file(prior))
    guided = {"space": SPACE, "method": "random", "prior": str(path)}
    with autorl.create({"search": guided, "budget": {"trainings": 30, "env_steps": 1}}, root=tmp_path) as study:
        drawn = [study.ask().candidate["x"] for _ in range(8)]
    assert sum(drawn) / 8 > 1.0, "nearer to 3 than to the middle of the range, 0"


def test_a_method_that_changes_candidates_teaches_nothing():
    spec = from_mapping({"search": {"space": SPACE, "method": "random"}, "budget": {"trainings": 9, "env_steps": 1}})
    child = Trial("method", "search", 1, {"x": 0.1, "n": 1}, 1, parent=0, status=Status.COMPLETED, score=1.0)
    with pytest.raises(UsageError, match="study 's': its method changed candidates"):
        tried_in("s", spec, [child])
