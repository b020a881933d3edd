"""Overrides, as text and in Python: the same object as if the file had said so."""

import pytest

from autorl.studies.specification import SpecificationError, from_mapping, parse

TEXT = """environment: gymnax:CartPole-v1
learner: ppo
search: {space: ppo_continuous, method: random}
budget: {trainings: 8, env_steps: 100_000}
"""
TWO = """environment: [gymnax:CartPole-v1, {id: gymnax:Acrobot-v1, score_range: [-500, 0]}]
learner: {algorithm: ppo, hyperparameters: {n_envs: 4}}
budget: {env_steps: 100_000}
"""


def overridden(*overrides, text=TEXT):
    return parse(text, "e.yaml", overrides, references=False)


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("search.method=tpe", "search.method", "tpe"),
        ("budget.trainings=64", "budget.trainings", 64),
        ("budget.trainings = 6_4", "budget.trainings", 64),
        ("budget.env_steps=1e6", "budget.env_steps", 1_000_000),
        ("finalists=2", "finalists", 2),
        ("description=a: b # c, [d", "description", "a: b # c, [d"),
        ("description='a'", "description", "a"),
        ("description=", "description", None),
        ("baselines.random=false", "baselines.random", False),
        ("seeds.study=07", "seeds.study", 7),
        ("environment=gymnax:Acrobot-v1", "environment", "gymnax:Acrobot-v1"),
        ("environment.id=gymnax:Acrobot-v1", "environment.id", "gymnax:Acrobot-v1"),
        ("environment.0.id=gymnax:Acrobot-v1", "environment.0.id", "gymnax:Acrobot-v1"),
        ("environment.task.gravity=5", "environment.task.gravity", 5),
        ("learner.hyperparameters.n_envs=4", "learner.hyperparameters.n_envs", 4),
        ("learner.algorithm=dqn", "learner.algorithm", "dqn"),
        ("search.settings={a: [1, 2e-1], b: x}", "search.settings", {"a": [1, 0.2], "b": "x"}),
        ("search.settings.a.b=1", "search.settings.a.b", 1),
        ("expected={minutes: 1, score: [0, 1]}", "expected", {"minutes": 1, "score": [0, 1]}),
    ],
)
def test_text_and_python_give_the_same(text, path, value):
    if value is None:
        with pytest.raises(SpecificationError, match="expected a text, got null"):
            overridden(text)
        return
    from_text = overridden(text)
    assert from_text == parse(TEXT, "e.yaml", {path: value}, references=False)
    assert from_text != overridden()


def test_a_shorthand_is_kept():
    spec = overridden("learner.hyperparameters.n_envs=4", "environment.task.gravity=5")
    assert spec.learner.algorithm == "ppo"
    assert spec.learner.hyperparameters == {"n_envs": 4}
    assert spec.environments[0].id == "gymnax:CartPole-v1"
    assert spec.environments[0].task == {"gravity": 5}


def test_an_override_assigns_the_whole_value():
    spec = overridden(
        "learner=dqn", "environment=[{id: a, score_range: [0, 1]}, {id: b, score_range: [0, 1]}]", text=TWO
    )
    assert spec.learner.hyperparameters == {}
    assert [e.id for e in spec.environments] == ["a", "b"]


def test_a_list_is_entered_by_position():
    spec = overridden("environment.0.score_range=[0, 500]", "environment.1.id=gymnax:Acrobot-v2", text=TWO)
    assert spec.environments[0].id == "gymnax:CartPole-v1"
    assert spec.environments[0].score_range == (0.0, 500.0)
    assert spec.environments[1].id == "gymnax:Acrobot-v2"


def test_later_overrides_win_and_sections_are_made():
    spec = overridden("seeds.test=3", "seeds.test=4", "search=null", "budget.trainings=1")
    assert spec.seeds.test == 4
    assert spec.search is None


def test_they_apply_to_an_experiment_made_in_python():
    first = parse(TEXT, references=False)
    changed = from_mapping(first, {"search.method": "tpe"}, references=False)
    assert changed.search.method == "tpe"
    assert first.search.method == "random"
    assert changed.model_copy(update={"search": first.search}) == first


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("search.method=", "<override search.method=>: search.method: expected a text, got null"),
        (
            "finalists=many",
            "<override finalists=many>: finalists: expected a whole number >= 1 and <= 1000, got 'many'",
        ),
        (
            "serach.method=tpe",
            "<override serach.method=tpe>: serach: unknown field, its value is {method: 'tpe'}. Did you mean 'search'?",
        ),
        (
            "search.methd=tpe",
            "<override search.methd=tpe>: search.methd: unknown field, its value is 'tpe'. Did you mean 'method'?",
        ),
        (
            "search.method",
            "<override search.method>: expected field=value, such as budget.trainings=64, got 'search.method'",
        ),
        ("=5", "<override =5>: expected a field such as budget.trainings, got ''"),
        (
            "search..method=tpe",
            "<override search..method=tpe>: expected a field such as budget.trainings, got 'search..method'",
        ),
        ("finalists.x=5", "<override finalists.x=5>: finalists.x: '3' is there, which has no fields"),
        ("search.space.dimensions.a=1", "search.space.dimensions.a: 'ppo_continuous' is there, which has no fields"),
        ("search.settings={a: 1, a: 2}", "search.settings.a: given twice, here as 2"),
        ("search.settings={a: &x 1}", "search.settings.a: an anchor ('&x') is not allowed"),
        ("search.settings={a: !!int 1}", "search.settings.a: a tag (!!int) is not allowed"),
        ("search.settings={a", "search.settings: not readable as YAML"),
        (
            "expected.minutes=1",
            "<override expected.minutes=1>: expected.score: missing; expected two numbers [low, high]",
        ),
    ],
)
def test_a_wrong_override_says_which(override, line):
    text = TEXT + "finalists: 3\n"
    with pytest.raises(SpecificationError) as caught:
        overridden(override, text=text)
    assert caught.value.exit_code == 2
    assert [text for text in str(caught.value).splitlines() if line in text], str(caught.value)
    assert all(p.line is None for p in caught.value.problems)
    assert all(p.file.startswith("<override ") for p in caught.value.problems)


def test_a_position_that_the_list_does_not_have():
    with pytest.raises(SpecificationError, match=r"environment\.7\.id: a list of 2 is there"):
        overridden("environment.7.id=a", "environment.0.score_range=[0, 500]", text=TWO)
    with pytest.raises(SpecificationError, match=r"environment\.id: a list of 2 is there"):
        overridden("environment.id=a", "environment.0.score_range=[0, 500]", text=TWO)


def test_problems_of_file_and_overrides_are_one_error():
    with pytest.raises(SpecificationError) as caught:
        overridden("budget.trainings=0", "x", text=TEXT.replace("method: random", "metod: random"))
    assert [(p.line, p.field) for p in caught.value.problems] == [
        (3, "search.metod"),
        (None, "budget.trainings"),
        (None, ""),
    ]


def test_unknown_names_in_overrides():
    with pytest.raises(SpecificationError) as caught:
        parse(
            TEXT,
            "e.yaml",
            ["search.method=tpee", "environment.id=gymnax:CartPole-v2", "learner.hyperparameters.gama=1"],
        )
    assert str(caught.value).splitlines() == [
        "<override environment.id=gymnax:CartPole-v2>: environment.id: unknown environment 'gymnax:CartPole-v2'."
        " Did you mean 'gymnax:CartPole-v1'?",
        "<override learner.hyperparameters.gama=1>: learner.hyperparameters.gama: unknown hyperparameter 'gama'."
        " Did you mean 'gamma'?",
        "<override search.method=tpee>: search.method: unknown search method 'tpee'. Did you mean 'tpe'?",
    ]


def test_in_python_values_keep_their_type():
    with pytest.raises(
        SpecificationError,
        match=r"<override budget.trainings='64'>: budget.trainings: expected a whole number .* got '64'",
    ):
        parse(TEXT, "e.yaml", {"budget.trainings": "64"}, references=False)
    with pytest.raises(SpecificationError, match="expected a field such as"):
        parse(TEXT, "e.yaml", {5: "64"}, references=False)
