"""`autorl prior fit`: from studies to a file that the next study draws by."""

from dataclasses import replace

import pytest
import yaml
from command_line import call

import autorl
from autorl.cli.prior import _together
from autorl.outer.prior_fit import Tried

SPACE = {"dimensions": {"x": {"type": "float", "low": 0, "high": 1}}}


@pytest.fixture
def told(tmp_path):
    """A folder of two told studies, best at 0.9 and 0.7, and one with too few trials."""
    for name, best, trainings in (("one", 0.9, 24), ("two", 0.7, 24), ("short", 0.5, 3)):
        given = {"space": SPACE, "method": "random"}
        budget = {"trainings": trainings, "env_steps": 1}
        with autorl.create({"name": name, "search": given, "budget": budget}, root=tmp_path) as study:
            for _ in range(trainings):
                asked = study.ask()
                study.tell(asked, -abs(asked.candidate["x"] - best))
    return tmp_path


def test_two_studies_make_a_prior(told):
    path = told / "mine.yaml"
    done = call("prior", "fit", "one", "two", "--root", told, "-o", path)
    assert (done.code, done.out, done.err) == (0, f"{path}\n", "")
    data = yaml.safe_load(path.read_text())
    assert (data["name"], list(data["tasks"])) == ("mine", ["one", "two"])
    assert data["source"] == "fitted by `autorl prior fit` to one, two"
    assert data["dimensions"] == {"x": {"low": 0.0, "high": 1.0, "scale": "linear"}}
    one, two = (data["tasks"][name]["effects"]["x"] for name in ("one", "two"))
    assert max(one) in one[3:]
    assert two[4] < max(two) == two[3], "0.7 is nearest to the fourth of five places"
    with autorl.create(
        {
            "search": {"space": SPACE, "method": "random", "prior": str(path)},
            "budget": {"trainings": 8, "env_steps": 1},
        },
        root=told,
    ) as study:
        assert [study.ask().origin for _ in range(3)] == ["prior"] * 3


def test_studies_of_one_environment_are_said_to_be_more_alike_than_tasks(tmp_path):
    task = Tried("one", ("gymnax:CartPole-v1",), SPACE, [], [])
    alone = replace(task, name="three", environments=("gymnax:Acrobot-v1",))
    assert _together([task, replace(task, name="two"), alone]) == {("gymnax:CartPole-v1",): ["one", "two"]}
    assert _together([replace(task, environments=()), replace(alone, environments=())]) == {}, "nobody knows"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("one", "-o", "mine.json"), "--output: a prior's file ends in .yaml, got 'mine.json'"),
        (("one", "short", "-o", "mine.yaml"), "task 'short': it has 3 finished configurations, at least 8 are needed"),
        (("one", "one", "-o", "mine.yaml"), "expected tasks of different names, got one"),
        (("gone", "-o", "mine.yaml"), "gone"),
    ],
)
def test_mistakes_have_a_message(told, monkeypatch, arguments, expected):
    monkeypatch.chdir(told)
    done = call("prior", "fit", *arguments, "--root", told)
    assert done.code in (2, 3)
    assert expected in done.err
    assert not (told / "mine.yaml").exists()
