"""Specifications in Python: constructors, mappings, writing and reading again, and whatever else one may throw at them."""

import math

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autorl.studies.convert import model_fields
from autorl.studies.models import Section
from autorl.studies.specification import (
    Baselines,
    Budget,
    EnvironmentChoice,
    LearnerChoice,
    ScheduleEntry,
    Search,
    Seeds,
    Specification,
    SpecificationError,
    from_mapping,
    parse,
    to_mapping,
    to_yaml,
    validate_references,
)

QUICK = """environment: gymnax:CartPole-v1
learner: ppo
search: {space: ppo_arlbench, method: auto}
budget: {trainings: 32, env_steps: 100_000}
seeds: {tuning: 5, test: 10}
"""


def test_yaml_mapping_and_constructors_give_equal_objects():
    from_yaml = parse(QUICK, "study.yaml")
    mapping = {
        "environment": "gymnax:CartPole-v1",
        "learner": "ppo",
        "search": {"space": "ppo_arlbench"},
        "budget": {"trainings": 32, "env_steps": 1e5},
    }
    made = Specification(
        environment=[EnvironmentChoice(id="gymnax:CartPole-v1")],
        learner=LearnerChoice(algorithm="ppo"),
        search=Search(space="ppo_arlbench"),
        budget=Budget(trainings=32, env_steps=100_000),
        seeds=Seeds(),
    )
    assert from_yaml == from_mapping(mapping) == Specification(**mapping) == made
    validate_references(made)


def test_defaults_are_those_of_the_contract():
    spec = parse(QUICK, references=False)
    assert (spec.seeds.study, spec.seeds.search, spec.seeds.tuning, spec.seeds.test) == (0, 1, 5, 10)
    assert (spec.evaluation.episodes, spec.evaluation.points, spec.finalists) == (64, 5, 5)
    assert spec.baselines == Baselines(default=True, random=True)
    assert spec.search.settings == {}
    assert spec.search.batch is None
    assert spec.schedule is None
    assert spec.expected is None


def test_the_name_is_that_of_the_file_unless_given():
    assert parse(QUICK, "experiments/quick start.v2.yaml", references=False).name == "quick-start.v2"
    assert parse(QUICK, "--.yaml", references=False).name == "study"
    assert parse(QUICK + "name: Mine\n", "quick.yaml", references=False).name == "Mine"
    assert from_mapping(parse(QUICK, "quick.yaml", references=False), references=False).name == "quick"


def test_nothing_can_be_assigned():
    spec = parse(QUICK, references=False)
    with pytest.raises(
        pydantic.ValidationError
    ):  # pydantic's own refusal to assign: a programming error, no user's input
        spec.finalists = 5


def test_a_mapping_is_copied():
    inner = {"gamma": 0.9}
    spec = Specification(
        environment="a", learner={"algorithm": "ppo", "hyperparameters": inner}, budget={"env_steps": 1000}
    )
    inner["gamma"] = 0.5
    assert spec.learner.hyperparameters == {"gamma": 0.9}


def test_own_objectives_need_neither_environment_nor_learner():
    spec = Specification(
        search={"space": {"dimensions": {"x": {"type": "float", "low": 0, "high": 1}}}}, budget={"trainings": 9}
    )
    validate_references(spec)
    assert spec.environments == ()
    assert spec.budget.env_steps == 1


def test_constructors_raise_our_error_with_all_problems():
    with pytest.raises(SpecificationError) as caught:
        Specification(
            environment="a", budget={"trainings": 0, "env_steps": "x"}, seed=3, baselines=Baselines(random=False)
        )
    assert {p.field for p in caught.value.problems} == {"budget.trainings", "budget.env_steps", "seed", "learner"}
    assert all(p.file == "<python>" for p in caught.value.problems)
    for make in (
        lambda: Budget(trainings=-1),
        lambda: Seeds(tuning=0, test="5"),
        lambda: EnvironmentChoice(),
        lambda: EnvironmentChoice(id="a", score_range=(1, 1)),
        lambda: ScheduleEntry(until=True),
        lambda: LearnerChoice(algorithm="ppo", hyperparameters={1: 2}),
        lambda: Search(space={}),
        lambda: Search(space="a", settings={"x": object()}),
        lambda: Search(space="a", settings={"x": math.nan}),
    ):
        with pytest.raises(SpecificationError, match="<python>: "):
            make()


def test_validate_references_lists_all():
    spec = Specification(
        environment="gymnax:CartPol-v1",
        learner="pppo",
        search={"space": "nope", "method": "tpee"},
        budget={"trainings": 2, "env_steps": 9},
    )
    with pytest.raises(SpecificationError) as caught:
        validate_references(spec)
    assert {p.field for p in caught.value.problems} == {
        "environment.id",
        "learner.algorithm",
        "search.method",
        "search.space",
    }


class Strange:
    """Not data, and not even printable."""

    def __repr__(self):
        raise RuntimeError("no")


def test_values_that_cannot_be_shown():
    loop: dict = {}
    loop["a"] = loop
    for value in (Strange(), 10**5000, loop, [loop], b"bytes", {1, 2}, float("nan"), lambda: 0, "\ud800"):
        with pytest.raises(SpecificationError):
            from_mapping({"environment": "a", "learner": "b", "budget": {"env_steps": 1, "trainings": value}})
        with pytest.raises(SpecificationError):
            Specification(finalists=value)
    with pytest.raises(SpecificationError):
        from_mapping(loop)


# --- writing and reading again ----------------------------------------------------------------------------------------------------------

TEXTS = st.one_of(
    st.sampled_from(
        [
            "on",
            "yes",
            "3e-4",
            "012",
            "null",
            "~",
            "",
            "true",
            "1:30",
            "0x10",
            "- a",
            "a: b",
            "#c",
            "*a",
            "&a",
            "!x",
            "'",
            '"',
            "a\nb",
            "\x00",
            "=",
            "<<",
            "é",
            "1_000",
            ".inf",
        ]
    ),
    st.text(max_size=20),
)
SCALARS = st.one_of(
    st.booleans(), st.integers(-(2**62), 2**62), st.floats(allow_nan=False, allow_infinity=False), TEXTS
)
KEYS = st.one_of(
    st.sampled_from(["gamma", "on", "1", "null", "a b", "", "x.y"]), st.text(max_size=8).filter(lambda k: k != "<<")
)
DATA = st.recursive(
    st.one_of(st.none(), SCALARS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
SPACES = st.one_of(TEXTS.filter(bool), st.dictionaries(KEYS, DATA, min_size=1, max_size=3))
ENVIRONMENTS = st.fixed_dictionaries(
    {"id": TEXTS.filter(bool), "score_range": st.just([0, 1.5])},
    optional={
        "task": st.dictionaries(KEYS, st.one_of(st.booleans(), st.integers(-99, 99), st.floats(-9, 9)), max_size=3)
    },
)
SPECIFICATIONS = st.fixed_dictionaries(
    {
        "environment": st.one_of(TEXTS.filter(bool), ENVIRONMENTS, st.lists(ENVIRONMENTS, min_size=1, max_size=3)),
        "learner": st.fixed_dictionaries(
            {"algorithm": TEXTS.filter(bool)}, optional={"hyperparameters": st.dictionaries(KEYS, SCALARS, max_size=4)}
        ),
        "search": st.fixed_dictionaries(
            {"space": SPACES},
            optional={"method": TEXTS.filter(bool), "settings": st.dictionaries(KEYS, DATA, max_size=3)},
        ),
        "budget": st.fixed_dictionaries(
            {"trainings": st.integers(1, 999), "env_steps": st.integers(10_000, 2**31 - 1)}
        ),
    },
    optional={
        "description": TEXTS,
        "seeds": st.fixed_dictionaries({}, optional={"study": st.integers(0, 2**63 - 1), "test": st.integers(1, 99)}),
        "expected": st.fixed_dictionaries({"minutes": st.floats(1e-9, 1e9), "score": st.just([-1e300, 1e-300])}),
    },
)


@given(SPECIFICATIONS)
def test_writing_and_reading_again_gives_an_equal_one(fields):
    spec = from_mapping(fields, references=False)
    text = to_yaml(spec)
    assert parse(text, "other.yaml", references=False) == spec, text
    assert from_mapping(to_mapping(spec), references=False) == spec
    again = parse(text, "other.yaml", references=False)
    assert repr(again) == repr(spec), "types too: true is not 1, 1 is not 1.0"


def test_the_resolved_text_is_short_and_complete():
    text = to_yaml(parse(QUICK, "quickstart.yaml", references=False))
    assert len(text.splitlines()) <= 25  # one screen
    assert "gymnax:CartPole-v1" in text
    written = {line.split(":")[0] for line in text.splitlines() if not line.startswith(" ")}
    assert written == set(model_fields(Specification)) - {"schedule", "expected", "hurdle", "teacher"}


# --- anything ---------------------------------------------------------------------------------------------------------------------------


def names(model: type[pydantic.BaseModel] = Specification) -> set[str]:
    """Return all field names, so that random mappings get past the first level."""
    found = set(model_fields(model))
    for section in Section.__subclasses__():
        found |= set(model_fields(section))
    return found


WORDS = st.sampled_from(sorted(names()))
ANYTHING = st.recursive(
    st.one_of(st.none(), SCALARS, st.floats(), st.binary(max_size=3), st.integers(), st.just(object())),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.one_of(WORDS, KEYS, st.integers(0, 3)), inner, max_size=6)
    ),
    max_leaves=20,
)


def outcome(make):
    """Return what ``make`` makes, or the error that is ours to raise; any other goes through."""
    try:
        return make()
    except SpecificationError as error:
        return error


@settings(max_examples=200)
@given(st.one_of(st.dictionaries(st.one_of(WORDS, KEYS, st.none()), ANYTHING, max_size=8), ANYTHING))
def test_any_mapping_is_a_specification_or_our_error(fields):
    spec = outcome(lambda: from_mapping(fields, references=False))
    if isinstance(spec, Specification):
        assert parse(to_yaml(spec), references=False) == spec
    else:
        assert len(str(spec).splitlines()) >= 1


@settings(max_examples=300)
@given(st.text(alphabet="abenv:,[]{}-#&*!|>'\"%@` \t\n0123456789._~?\x00é", max_size=60))
def test_any_text_is_a_specification_or_our_error(text):
    with pytest.raises(SpecificationError) as caught:
        parse(text, "f.yaml", references=False)
    assert all(p.line and p.column for p in caught.value.problems)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.lists(st.one_of(WORDS, st.sampled_from(["0", "1", "x"])), max_size=4), TEXTS), max_size=4))
def test_any_override_is_applied_or_our_error(pairs):
    overrides = [f"{'.'.join(path)}={value}" for path, value in pairs]
    spec = outcome(lambda: parse(QUICK, "q.yaml", overrides, references=False))
    if isinstance(spec, SpecificationError):
        assert spec.problems
        assert all(p.file.startswith("<override") or p.line for p in spec.problems)


@settings(max_examples=25)
@given(st.dictionaries(WORDS, ANYTHING, max_size=4), st.sampled_from(["learner", "environment", "search"]))
def test_references_of_anything_are_a_list_of_problems(fields, section):
    given_fields = {
        "environment": "gymnax:CartPole-v1",
        "learner": "ppo",
        "budget": {"env_steps": 10_000},
        section: fields,
    }
    spec = outcome(lambda: from_mapping(given_fields))
    assert isinstance(spec, Specification) or spec.problems
