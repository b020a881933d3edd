"""What a search is called, and what it says of where its candidates came from."""

from autorl.analysis.origins import origins, origins_sentence
from autorl.analysis.result import expected_arms, summarise
from autorl.analysis.scores import is_random_search, method_name
from autorl.studies.trial import Trial

PRIOR = {"name": "ppo"}


def trials(*found):
    return [Trial("method", "search", i, {}, 1, origin=origin) for i, origin in enumerate(found)]


def test_each_origin_is_counted_and_said():
    made = trials("start", "prior", "prior", "model")
    others = [Trial("random", "search", 0, {}, 1), Trial("method", "finalists", 0, {}, 1, origin="finalist")]
    assert origins([*made, *others]) == {"start": 1, "prior": 2, "model": 1}
    said = "Of 4 candidates of the search: 1 given to begin with, 2 drawn by the prior, 1 proposed by the model."
    assert origins_sentence(origins(made)) == origins_sentence(origins(made), {"origin": "prior"}) == said
    kept, alone = ({"origin": "start", "chosen_by": {"tuning_iqm": score}} for score in (0.5, None))
    assert origins_sentence(origins(made), kept).startswith(f"{said} The winner is one of those given")
    assert origins_sentence(origins(made), alone) == said, "nothing was trained on fresh seeds"
    assert summarise(made, {})["origins"] == origins(made)
    assert origins_sentence(origins(trials("sample", "sample"))) == origins_sentence({}) == ""


def test_a_model_that_proposed_nothing_is_not_taken_for_the_search():
    drawn = origins(trials("sample", "sample"))
    said = "Of 2 candidates of the search: 2 drawn at random. Its model proposed none."
    assert origins_sentence(drawn, None, "tpe + halving") == origins_sentence(drawn, None, "gp") == said
    assert origins_sentence(drawn, None, "random + halving") == origins_sentence(drawn, None, "tpez") == ""
    assert "Its model" not in origins_sentence(origins(trials("sample", "model")), None, "tpe")


def test_what_a_prior_draws_is_not_called_random_search():
    search = {"method": "random", "prior": "none"}
    assert method_name({"search": search}) == "random"
    assert method_name({"search": {**search, "policy": {"name": "race"}}}) == "random + race"
    drawn = {"search": {**search, "policy": {"name": "race"}, "prior": PRIOR}}
    assert method_name(drawn) == "prior + race"
    assert method_name({"search": {"method": "tpe", "prior": PRIOR}}) == "tpe"


def test_random_search_stands_beside_what_a_prior_draws():
    plain = {"learner": {"algorithm": "ppo"}, "search": {"method": "random"}}
    assert is_random_search(plain)
    assert expected_arms(plain) == ["method", "default"]
    drawn = {**plain, "search": {"method": "random", "prior": PRIOR}}
    assert not is_random_search(drawn)
    assert expected_arms(drawn) == ["method", "random", "default"]
