"""Comparisons: told from studies, read from files, mappings and Python alike, and refused with all problems at once."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autorl import catalogue
from autorl.errors import UsageError
from autorl.studies import specification
from autorl.studies.comparison import Comparison, ComparisonSeeds, Tuning, from_mapping, is_comparison, load, parse
from autorl.studies.convert import model_fields
from autorl.studies.models import EnvironmentSettings, Evaluation, LearnerSettings
from autorl.studies.problems import SpecificationError
from autorl.studies.specification import to_mapping, to_yaml

TEXT = """objectives: [dqn, dqnreg_paper]
learner: {algorithm: dqn, hyperparameters: {learning_rate: 1e-4}}
environment:
  - {id: gymnax:CartPole-v1, score_range: [0, 500]}
  - {id: gymnax:Acrobot-v1, score_range: [-500, -50], env_steps: 20_000, hyperparameters: {gamma: 0.9}}
env_steps: 10_000
tuning: {space: dqn_small, configurations: 4}
"""


def test_yaml_mapping_and_constructors_give_equal_objects():
    from_yaml = parse(TEXT, "comparison.yaml")
    made = Comparison(
        objectives=["dqn", "dqnreg_paper"],
        learner=LearnerSettings(algorithm="dqn", hyperparameters={"learning_rate": 1e-4}),
        environment=[
            EnvironmentSettings(id="gymnax:CartPole-v1", score_range=(0, 500)),
            {
                "id": "gymnax:Acrobot-v1",
                "score_range": [-500, -50],
                "env_steps": 2e4,
                "hyperparameters": {"gamma": 0.9},
            },
        ],
        env_steps=10_000,
        seeds=ComparisonSeeds(),
        tuning=Tuning(space="dqn_small", configurations=4),
    )
    assert from_yaml == from_mapping(to_mapping(from_yaml)) == made == from_mapping(made)
    assert parse(to_yaml(made), "comparison.yaml", references=False) == made
    assert [made.steps(choice) for choice in made.environments] == [10_000, 20_000]


def test_defaults():
    made = parse("objectives: [dqn]\nlearner: dqn\nenvironment: probe:two_step\nenv_steps: 100\n", "sub/Mine here.yaml")
    assert (made.name, made.description, made.tuning) == ("Mine-here", "", None)
    assert made.seeds == ComparisonSeeds(study=0, tuning=1, test=10)
    assert made.evaluation == Evaluation()
    assert made.environments == (EnvironmentSettings(id="probe:two_step"),)


def test_overrides_change_any_field_by_its_path():
    changes = ["environment.1.env_steps=5_000", "seeds.test=3", "tuning=null", "learner.hyperparameters.gamma=0.5"]
    made = parse(TEXT, "c.yaml", [*changes, "objectives=[dqn]"])
    assert (made.environments[1].env_steps, made.seeds.test, made.tuning) == (5_000, 3, None)
    assert made.learner.hyperparameters == {"learning_rate": 1e-4, "gamma": 0.5}
    assert made.objectives == ("dqn",)
    with pytest.raises(SpecificationError) as caught:
        parse(TEXT, "c.yaml", ["seeds.tset=3", "objectives.1=dqnreg", "tuning.configurations=1"])
    assert {(p.file, p.field) for p in caught.value.problems} == {
        ("<override seeds.tset=3>", "seeds.tset"),
        ("<override objectives.1=dqnreg>", "objectives.1"),
        ("<override tuning.configurations=1>", "tuning.configurations"),
    }


def test_a_comparison_is_told_by_its_objectives(tmp_path):
    assert is_comparison("dqnreg_generalises")
    assert not is_comparison("quickstart")
    path = tmp_path / "mine.yaml"
    path.write_text("objectives: [dqn]\n")
    assert is_comparison(path)
    path.write_text("objectives: [")
    assert not is_comparison(path), "what cannot be read at all is refused as a study"
    with pytest.raises(UsageError, match="unknown experiment"):
        is_comparison("nowhere")


def test_each_kind_is_refused_by_the_reader_of_the_other():
    with pytest.raises(SpecificationError, match=r"\.yaml:\d+:1: objectives: makes this a comparison"):
        specification.load("dqnreg_generalises")
    with pytest.raises(SpecificationError) as caught:
        load("quickstart", references=False)
    assert {"objectives", "search", "budget"} <= {p.field for p in caught.value.problems}


def test_constructors_raise_our_error_with_all_problems():
    with pytest.raises(SpecificationError) as caught:
        Comparison(
            objectives=["dqn", "dqn"],
            environment=["a", {"id": "b", "score_range": [1, 0]}],
            seeds={"tset": 1},
            budget={},
        )
    fields = {p.field for p in caught.value.problems}
    assert fields == {"objectives.1", "learner", "environment.1.score_range", "seeds.tset", "budget"}
    assert all(p.file == "<python>" for p in caught.value.problems)


def test_names_of_files_may_not_collide(tmp_path):
    graph = (catalogue.find("learned_objectives", "dqn") / "graph.json").read_text()
    (tmp_path / "dqn.json").write_text(graph)
    with pytest.raises(
        SpecificationError, match=r"objectives\.2: expected different names, but 'dqn' is the name of an"
    ):
        parse(TEXT, "c.yaml", {"objectives": ["dqn", "double_dqn", str(tmp_path / "dqn.json")]})


def test_later_environments_are_found_at_their_own_place():
    text = TEXT.replace("{id: gymnax:CartPole-v1", "{ids: gymnax:CartPole-v1")
    with pytest.raises(SpecificationError) as caught:
        parse(text, "c.yaml")
    assert {p.line for p in caught.value.problems} == {4}, "one that cannot be read moves no other's problems"


WORDS = st.sampled_from(
    sorted({n for model in (Comparison, EnvironmentSettings, LearnerSettings, Tuning) for n in model_fields(model)})
)
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 10**6), st.floats(), st.text(max_size=5), WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=15,
)


@settings(max_examples=200)
@given(st.dictionaries(WORDS, ANYTHING, max_size=8))
def test_any_mapping_is_a_comparison_or_our_error(fields):
    try:
        made = from_mapping({"objectives": ["dqn"], "env_steps": 9, **fields}, references=False)
    except SpecificationError as error:
        made = error
    assert isinstance(made, SpecificationError) or from_mapping(to_mapping(made), references=False) == made


def test_the_shipped_one_keeps_what_it_says():
    made = load("dqnreg_generalises")
    seen = {"CartPole", "LunarLander", "KeyCorridorS3R1", "DoorKey-5x5", "LavaGapS5"}
    seen |= {"Dynamic-Obstacles-5x5", "Dynamic-Obstacles-6x6"}
    ids = [choice.id for choice in made.environments]
    assert len(ids) >= 12
    assert not [id for id in ids for name in seen if name in id], "the losses were found there"
    assert made.seeds.test >= 10
    assert set(made.objectives) == {"dqn", "double_dqn", "dqnreg_paper", "dqn_clipped"}
    assert made.tuning is not None
    # epsilon falls over 1,000 env steps in classic control and Catch, over 40,000 in DoorKey, else over 10,000
    for choice in made.environments:
        values = {**made.learner.hyperparameters, **choice.hyperparameters}
        length = 1_000 if choice.id.startswith("gymnax:") else 40_000 if "DoorKey" in choice.id else 10_000
        assert values["exploration_fraction"] * made.steps(choice) == pytest.approx(length)
