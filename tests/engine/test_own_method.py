"""A search method of a user's own, named as ``module:attribute``, in a whole study."""

from typing import ClassVar

import pytest

import autorl
from autorl.errors import AutoRLError
from autorl.outer.full_trainings import FullTrainings
from autorl.spaces import FEATURES

SPECIFICATION = {
    "environment": "gymnax:CartPole-v1",
    "learner": {
        "algorithm": "ppo",
        "hyperparameters": {"n_envs": 4, "n_steps": 32, "minibatch_size": 64, "hidden_size": 16},
    },
    "search": {
        "space": {"dimensions": {"learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "scale": "log"}}}
    },
    "budget": {"trainings": 3, "env_steps": 512},
    "evaluation": {"points": 2, "episodes": 2},
    "seeds": {"tuning": 1, "test": 1},
    "baselines": {"default": False, "random": False},
}


class Ladder(FullTrainings):
    """Proposes one learning rate after the other."""

    name: ClassVar[str] = "ladder"
    reference: ClassVar[str] = "this test, 2026"
    searches: ClassVar[frozenset[str]] = FEATURES

    def __init__(self, space, budget, seed, *, first=2.0):
        super().__init__(space, budget, seed, batch=2)
        self.first = first

    def _propose(self, history, number, pending):
        return {"learning_rate": self.first * 1e-3 * (1 + number)}, "model"


def specification(**search):
    return {**SPECIFICATION, "search": {**SPECIFICATION["search"], **search}}


def test_it_is_a_method_like_any_other(tmp_path):
    own = specification(method=f"{__name__}:Ladder", settings={"first": 1.0}, policy="whole")
    study = autorl.create(own, name="own", root=tmp_path)
    study.run()
    searched = study.trials("method", "search")
    assert [t.candidate["learning_rate"] for t in searched] == pytest.approx([1e-3, 2e-3, 3e-3])
    assert study.result["method"] == f"{__name__}:Ladder"
    assert autorl.load("own", root=tmp_path).result == study.result


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("nowhere_at_all:Ladder", "no module named 'nowhere_at_all'"),
        (f"{__name__}:Nothing", "has no attribute 'Nothing'"),
        (f"{__name__}:SPECIFICATION", "is no search method. Remedy: a subclass of"),
        ("ladder", "unknown search method 'ladder'"),
    ],
)
def test_what_is_none_is_refused_by_name(tmp_path, method, message):
    with pytest.raises(AutoRLError) as error:
        autorl.create(specification(method=method), name="own", root=tmp_path)
    assert message in str(error.value)
    assert not list(tmp_path.iterdir())


def test_its_settings_are_checked(tmp_path):
    with pytest.raises(AutoRLError, match="frist"):
        autorl.create(specification(method=f"{__name__}:Ladder", settings={"frist": 1.0}), name="own", root=tmp_path)
