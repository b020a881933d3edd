"""The JSON Schema for editors accepts what we accept, refuses what we refuse by type, and explains every field."""

import json
import re
from pathlib import Path

import pytest
import yaml

from autorl import catalogue
from autorl.objectives.graphs.space import GraphSpace
from autorl.studies import comparison
from autorl.studies.comparison import Comparison
from autorl.studies.models import Section
from autorl.studies.schema import field_help, json_schema
from autorl.studies.specification import load

EXPERIMENTS = sorted(catalogue.names("experiments").items())


def fits(value, schema, root):
    """Return whether ``value`` satisfies ``schema``: the keywords that ours uses, and no others."""
    if "$ref" in schema:
        return fits(value, root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root)
    known = {
        "$defs", "$schema",
        "title", "description", "default", "type", "anyOf", "enum", "properties", "required", "additionalProperties",
        "items", "prefixItems", "minItems", "maxItems", "minimum", "maximum",
        "exclusiveMinimum", "exclusiveMaximum", "minLength", "pattern", "if", "then", "else",
    }  # fmt: skip
    assert set(schema) <= known, set(schema) - known
    if "if" in schema:
        branch = "then" if fits(value, schema["if"], root) else "else"
        return fits(value, schema[branch], root)
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(is_type(value, name) for name in types):
        return False
    if "anyOf" in schema and not any(fits(value, part, root) for part in schema["anyOf"]):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if isinstance(value, dict):
        return fits_mapping(value, schema, root)
    if isinstance(value, list):
        return fits_list(value, schema, root)
    if isinstance(value, str):
        return len(value) >= schema.get("minLength", 0) and re.search(schema.get("pattern", ""), value) is not None
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, high = schema.get("minimum", -1e999), schema.get("maximum", 1e999)
        return low <= value <= high and schema.get("exclusiveMinimum", -1e999) < value < schema.get(
            "exclusiveMaximum", 1e999
        )
    return True


def is_type(value, name):
    if name == "integer":
        return isinstance(value, int | float) and not isinstance(value, bool) and value == int(value)
    if name == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, {"string": str, "boolean": bool, "object": dict, "array": list, "null": type(None)}[name])


def fits_mapping(value, schema, root):
    properties, more = schema.get("properties", {}), schema.get("additionalProperties", True)
    if not set(schema.get("required", [])) <= set(value):
        return False
    for key, item in value.items():
        rule = properties.get(key, more)
        if rule is False or (isinstance(rule, dict) and not fits(item, rule, root)):
            return False
    return True


def fits_list(value, schema, root):
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 1e9):
        return False
    fixed = schema.get("prefixItems", [])
    return all(fits(v, s, root) for v, s in zip(value, fixed, strict=False)) and all(
        fits(v, schema.get("items", {}), root) for v in value[len(fixed) :]
    )


class Yaml12(yaml.SafeLoader):
    """Reads as an editor's language server does: YAML 1.2's core types, so 100_000 and on are text, 3e-4 is a number."""


Yaml12.yaml_implicit_resolvers = {}
for tag, pattern in (
    ("bool", "true|false"),
    ("null", "null|~|"),
    ("int", "[-+]?[0-9]+"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"),
):
    Yaml12.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), None)


def as_editor(text):
    return yaml.load(text, Loader=Yaml12)


@pytest.mark.parametrize("names", [False, True])
@pytest.mark.parametrize(("name", "path"), EXPERIMENTS, ids=[name for name, _ in EXPERIMENTS])
def test_experiments_fit_the_schema(name, path, names):
    schema = json_schema(names=names)
    assert fits(as_editor(path.read_text()), schema, schema)


BASE = "environment: gymnax:CartPole-v1\nlearner: ppo\nsearch: {space: ppo_arlbench}\nbudget: {trainings: 4, env_steps: 1000}\n"


@pytest.mark.parametrize(
    "text",
    [
        "seed: 1",
        "finalists: 0",
        "finalists: many",
        "seeds: {tuning: -1}",
        "baselines: {random: off}",
        "baselines: {random: 1}",
        "expected: {minutes: 0, score: [0, 1]}",
        "expected: {minutes: 1}",
        "expected: {minutes: 1, score: [0]}",
        "name: a/b",
        "evaluation: [64]",
        "schedule: [{hyperparameters: {}}]",
        "environment: []",
        "environment: [{task: {}}]",
        "learner: {algorithm: ppo, hyperparameters: {gamma: [1]}}",
    ],
)
def test_the_schema_refuses(text):
    schema, data = json_schema(), {**as_editor(BASE), **as_editor(text)}
    assert fits(as_editor(BASE), schema, schema)
    assert not fits(data, schema, schema)


COMPARED = "objectives: [dqn, double_dqn]\nlearner: dqn\nenvironment: gymnax:CartPole-v1\nenv_steps: 100_000\n"


@pytest.mark.parametrize(
    "text",
    [
        "objectives: dqn",
        "objectives: [1]",
        "budget: {trainings: 5}",
        "search: {space: dqn_rlzoo}",
        "learner: {algorithm: dqn, objective: dqn}",
        "environment: {id: gymnax:CartPole-v1, role: held_out}",
        "seeds: {search: 1}",
        "env_steps: 0",
        "tuning: {space: dqn_rlzoo}",
        "tuning: {space: dqn_rlzoo, configurations: 1}",
    ],
)
def test_the_schema_of_comparisons_refuses(text):
    schema, data = json_schema(), {**as_editor(COMPARED), **as_editor(text)}
    assert fits(as_editor(COMPARED), schema, schema)
    assert not fits(data, schema, schema)


def test_names_are_offered_where_asked_for():
    schema = json_schema(names=True)
    for wrong in ("learner: pppo", "search: {space: ppo_arlbench, method: tpee}"):
        assert not fits({**as_editor(BASE), **as_editor(wrong)}, schema, schema)
    for own in (
        "environment: my.module:Environment",
        "search: {space: my_space.yaml}",
        "search: {space: {dimensions: {}}}",
    ):
        assert fits({**as_editor(BASE), **as_editor(own)}, schema, schema)
    assert not fits({**as_editor(COMPARED), **as_editor("learner: dqqn")}, schema, schema)
    text = json.dumps(schema)
    assert all(f'"{name}"' in text for name in ("gymnax:CartPole-v1", "ppo_arlbench", "tpe", "dqn", "dqnreg_paper"))


def test_the_schema_beside_the_experiments_is_the_present_one():
    path = catalogue.names("experiments")["quickstart"].parent / "schema.json"
    assert json.loads(path.read_text()) == json_schema(), (
        f"write it anew: python -m autorl.studies.schema > {path.name}"
    )


def test_every_field_is_explained():
    table = list(field_help())
    assert {"budget.env_steps", "environment.task", "schedule.until", "search.settings"} <= {row.path for row in table}
    assert len({row.path for row in table}) == len(table)
    assert all(row.help.endswith(".") and row.expected for row in table)
    assert [row.path for row in table if row.required] == [
        "environment.id", "learner.algorithm", "teacher.name", "search.space",
        "search.policy.name", "search.warm_start.study", "schedule.until", "baselines.teachers.name", "expected.minutes", "expected.score",
    ]  # fmt: skip
    assert {row.path: row.default for row in table}["seeds.test"] == 10
    compared = list(field_help(Comparison))
    assert {"objectives", "environment.hyperparameters", "tuning.configurations"} <= {row.path for row in compared}
    assert all(row.help.endswith(".") and row.expected for row in compared)
    assert all(section.__doc__ for section in Section.__subclasses__())


@pytest.mark.parametrize(("name", "path"), EXPERIMENTS, ids=[name for name, _ in EXPERIMENTS])
def test_every_experiment_is_sound_and_says_what_it_is(name, path):
    read = comparison.load if comparison.is_comparison(name) else load
    spec = read(name)
    assert spec.name == name
    text = path.read_text()
    assert text.startswith("# ")
    assert len(text.splitlines()) <= 40, "one screen"
    assert "# yaml-language-server: $schema=schema.json" in text
    assert read(path) == spec


def test_quickstart_is_the_one_of_the_readme():
    spec = load("quickstart", references=False)
    assert spec.environments[0].id == "gymnax:CartPole-v1"
    assert spec.learner.algorithm == "ppo"
    assert (spec.search.space, spec.search.method) == ("ppo_arlbench", "auto")
    assert (spec.budget.trainings, spec.budget.env_steps) == (32, 100_000)
    assert (spec.seeds.tuning, spec.seeds.test) == (5, 10)
    assert Path(catalogue.find("experiments", "quickstart")).name == "quickstart.yaml"


def test_no_program_is_drawn_to_check_an_experiment(monkeypatch):
    """Programs have no length that a budget could be too short for, and drawing some takes seconds."""
    monkeypatch.setattr(GraphSpace, "sample", lambda *_: pytest.fail("a program was drawn"))
    assert load("rediscover_td").name == "rediscover_td"
