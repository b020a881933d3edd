"""Search spaces of ConfigSpace and studies of Optuna as space files: the same space, or one error that says why not."""

import copy
import json
import math
import pathlib

import optuna
import pytest

from autorl.errors import UsageError
from autorl.interop import optuna_storage
from autorl.interop.imports import configspace, optuna_study
from autorl.interop.imports.imported import Imported, checked, space_file
from autorl.outer.protocol import Status
from autorl.spaces import Bool, Categorical, Fixed, Float, Int, load_space
from autorl.studies.trial import Trial

FILE = pathlib.Path(__file__).parent / "configspace_1_2.json"
"""Written by ConfigSpace 1.2.2 (format 0.4)."""
DATA = json.loads(FILE.read_text())


@pytest.fixture(scope="module")
def space():
    return checked(configspace.read(FILE), "made", "dqn")


def test_every_kind_of_hyperparameter_of_configspace(space):
    found = dict(space.dimensions)
    assert found["learning_rate"] == Float(1e-6, 0.1, "log")
    assert found["buffer_size"] == Int(1024, 120_000)
    assert found["gradient_steps"] == Int(1, 64, log=True)
    assert found["activation"] == Categorical(("tanh", "relu"))
    assert found["buffer_batch_size"] == Categorical((64, 128, 256))
    assert found["buffer_batch_size"].feature == "ordinal"
    assert found["buffer_prio_sampling"] == Bool()
    assert found["gamma"] == Fixed(0.99)


def test_every_kind_of_condition_of_configspace(space):
    found = {child: (c.parent, c.values) for child, c in space.conditions.items()}
    assert found == {
        "buffer_alpha": ("buffer_prio_sampling", (True,)),
        "buffer_beta": ("buffer_prio_sampling", (True,)),  # not equal to false
        "hidden_size": ("n_layers", (3, 4)),  # above 2
        "tau": ("activation", ("tanh", "relu")),
    }


def test_defaults_have_no_place_and_are_said():
    (remark,) = configspace.read(FILE).remarks
    assert "learning_rate 0.001" in remark
    assert 'activation "tanh"' in remark


def test_the_file_reads_back_as_the_same_space(space, tmp_path):
    path = tmp_path / "made.yaml"
    path.write_text(space_file(configspace.read(FILE), "made", "a 'source': # 1", "dqn"))
    again = load_space(str(path))
    assert dict(again.dimensions) == dict(space.dimensions)
    assert dict(again.conditions) == dict(space.conditions)
    assert (again.name, again.learner, again.source) == ("made", "dqn", "a 'source': # 1")


def test_texts_that_look_like_something_else_stay_texts(tmp_path):
    listed = ("1e-3", "on", "null", "true", "a: b", "é\"'")
    path = tmp_path / "odd.yaml"
    path.write_text(space_file(Imported({"x": {"type": "categorical", "choices": listed}}), "odd", "here"))
    assert load_space(str(path)).dimensions["x"] == Categorical(listed)


def old(hyperparameters, conditions=(), forbiddens=()):
    """A file as ConfigSpace 0.4 to 0.7 wrote it."""
    return {
        "hyperparameters": hyperparameters, "conditions": list(conditions), "forbiddens": list(forbiddens),
        "python_module_version": "0.7.2", "json_format_version": 0.4,
    }  # fmt: skip


A = {"name": "a", "type": "categorical", "choices": ["x", "y", "z"], "default": "x", "weights": None}
B = {"name": "b", "type": "uniform_int", "lower": 1, "upper": 3, "log": False, "default": 2, "q": None}
C = {"name": "c", "type": "uniform_float", "lower": 0.0, "upper": 1.0, "log": False, "default": 0.5, "q": None}


def test_the_formats_before_version_1():
    stepped = {"name": "s", "type": "uniform_float", "lower": 0.1, "upper": 0.5, "log": False, "default": 0.1, "q": 0.2}
    power = {"name": "p", "type": "uniform_int", "lower": 16, "upper": 64, "log": False, "default": 16, "q": 16}
    constant = {"name": "k", "type": "unparametrized", "value": "sgd"}
    single = {"name": "one", "type": "categorical", "choices": [3], "default": 3}
    down = {"name": "d", "type": "ordinal", "sequence": [3, 2, 1], "default": 1}
    found = dict(
        checked(configspace.convert(old([A, B, C, stepped, power, constant, single, down]), "f"), "f").dimensions
    )
    assert found["s"] == Categorical((0.1, 0.3, 0.5))
    assert found["p"] == Categorical((16, 32, 48, 64))
    assert (found["k"], found["one"], found["d"]) == (Fixed("sgd"), Fixed(3), Categorical((1, 2, 3)))


def condition(kind, child, parent, value):
    return {"type": kind, "child": child, "parent": parent, ("values" if kind == "IN" else "value"): value}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (condition("LT", "c", "b", 3), ("b", (1, 2))),
        (condition("NEQ", "c", "a", "y"), ("a", ("x", "z"))),
        (
            {
                "type": "OR",
                "child": "c",
                "conditions": [condition("EQ", "c", "a", "x"), condition("IN", "c", "a", ["z", "x"])],
            },
            ("a", ("x", "z")),
        ),
        (
            {
                "type": "AND",
                "child": "c",
                "conditions": [condition("IN", "c", "a", ["x", "y"]), condition("NEQ", "c", "a", "x")],
            },
            ("a", ("y",)),
        ),
    ],
)
def test_conditions_of_one_parent(wanted, expected):
    space = checked(configspace.convert(old([A, B, C], [wanted]), "f"), "f")
    assert (space.conditions["c"].parent, space.conditions["c"].values) == expected


def test_a_second_parent_that_the_first_implies_is_no_second_parent():
    both = {"type": "AND", "child": "c", "conditions": [condition("EQ", "c", "a", "x"), condition("EQ", "c", "b", 2)]}
    inner = condition("EQ", "b", "a", "x")
    for listed in ([inner, both], [both, inner]):
        space = checked(configspace.convert(old([A, B, C], listed), "f"), "f")
        assert (space.conditions["c"].parent, space.conditions["c"].values) == ("b", (2,))
    with pytest.raises(UsageError, match=r"parents 'a' and 'b', and a dimension here has one"):
        configspace.convert(old([A, B, C], [both]), "f")


def test_below_and_above_follow_the_order_of_an_ordinal():
    down = {"name": "d", "type": "ordinal", "sequence": [30, 20, 10], "default": 10}
    space = checked(configspace.convert(old([down, C], [condition("GT", "c", "d", 30)]), "f"), "f")
    assert sorted(space.conditions["c"].values) == [10, 20], "what comes after 30 there"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"type": "normal_float", "mu": 0, "sigma": 1}, "type 'normal_float' has no counterpart"),
        ({"type": "uniform_float", "lower": 0, "upper": 1, "log": False, "q": 0.001}, "makes 1001 values"),
        (
            {"type": "uniform_float", "lower": 1, "upper": 2, "log": True, "q": 0.5},
            "a step \\(0.5\\) on a logarithmic scale",
        ),
        ({"type": "uniform_float", "lower": None, "upper": 1}, "lower must be a number, got None"),
        ({"type": "uniform_float", "lower": 0, "upper": 1, "log": True}, "low must be above 0 on the log scale"),
        ({"type": "categorical", "choices": ["p", "q"], "weights": [1, 2]}, "unequal weights"),
        ({"type": "categorical", "choices": ["p", None]}, "choices must be numbers, strings, true or false, got None"),
        ({"type": "ordinal", "sequence": ["low", "high"]}, "only numbers are ordered"),
        ({"type": "ordinal", "sequence": [1, 3, 2]}, "not that of its numbers"),
        ({"type": "constant", "value": None}, "value must be a finite number"),
        ({"type": "categorical", "choices": ["p"], "weights": 5}, "weights must be a list of numbers, got 5"),
        ({"type": "categorical", "choices": ["p"], "weights": [[1]]}, "weights must be a list of numbers"),
    ],
)
def test_what_cannot_be_represented_is_an_error(change, words):
    with pytest.raises(UsageError, match=words):
        checked(configspace.convert(old([A, {"name": "n", **change}]), "f.json"), "f")


def test_one_error_lists_everything_that_is_wrong():
    data = copy.deepcopy(DATA)
    data["hyperparameters"].append({"name": "x y", "type": "uniform_float", "lower": 0, "upper": 1})
    data["hyperparameters"].append({"name": "z", "type": "beta_int"})
    data["conditions"].append(condition("EQ", "gamma", "learning_rate", 0.1))
    data["conditions"].append(condition("EQ", "tau", "activation", "relu"))
    data["forbiddens"] = [{"name": "n_layers", "type": "EQUALS", "value": 4}]
    with pytest.raises(UsageError) as caught:
        configspace.convert(data, "big.json")
    for words in (
        "'x y'",
        "--drop-prefix",
        "'beta_int'",
        "is real: only choices",
        "a second condition",
        "forbidden combination",
    ):
        assert words in str(caught.value)


def test_a_prefix_is_taken_off():
    data = old([{**A, "name": "hp.a"}, {**C, "name": "hp.c"}], [condition("EQ", "hp.c", "hp.a", "x")])
    space = checked(configspace.convert(data, "f", "hp."), "f")
    assert (list(space.dimensions), space.conditions["c"].parent) == (["a", "c"], "a")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"conditions": 5}, "conditions: expected a list, got 5"),
        ({"forbiddens": 5}, "forbiddens: expected a list, got 5"),
        (
            {"conditions": [{"type": "AND", "child": "b", "conditions": ["x"]}]},
            "a condition is a mapping with a type, got 'x'",
        ),
        ({"conditions": [{"type": "OR", "child": "b", "conditions": 5}]}, "must be a list of what it joins, got 5"),
        (
            {"conditions": [{"type": "LT", "child": "b", "parent": "a", "value": "x"}]},
            "LT compares numbers, got 'x' for 'a'",
        ),
        (
            {"conditions": [{"type": "GT", "child": "a", "parent": "b", "value": 1}]},
            "GT compares numbers, got 1 for 'b'",
        ),
    ],
)
def test_what_is_of_another_type_than_it_should_be_is_named(change, words):
    whole = {"name": "a", "type": "uniform_int", "lower": 1, "upper": 4}
    choice = {"name": "b", "type": "categorical", "choices": ["p", "q"]}
    with pytest.raises(UsageError, match=words):
        configspace.convert({"hyperparameters": [whole, choice], **change}, "f.json")


@pytest.mark.parametrize(
    ("text", "words"), [("{", "no JSON"), ("[1]", "expected a mapping"), ("{}", "a list 'hyperparameters'")]
)
def test_what_is_no_configspace_file(tmp_path, text, words):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UsageError, match=words):
        configspace.read(tmp_path / "x.json")
    with pytest.raises(UsageError, match="Check the path"):
        configspace.read(tmp_path / "missing.json")


def objective(trial):
    rate = trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True)
    trial.suggest_int("n_layers", 1, 3)
    trial.suggest_int("width", 16, 64, step=16)
    if trial.suggest_categorical("prioritised", [True, False]):
        trial.suggest_float("alpha", 0.1, 1.0)
        trial.suggest_categorical("tree", ["sum", "heap"])
    if trial.number == 3:
        raise optuna.TrialPruned
    return (math.log10(rate) + 3) ** 2


@pytest.fixture(scope="module")
def journal(tmp_path_factory):
    path = tmp_path_factory.mktemp("optuna") / "study.log"
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for name, trials in (("tuned", 16), ("empty", 0)):
        study = optuna.create_study(
            study_name=name, storage=storage, direction="minimize", sampler=optuna.samplers.RandomSampler(seed=1)
        )
        study.optimize(objective, n_trials=trials)
    return path


def test_the_space_of_an_optuna_study(journal, tmp_path):
    study = optuna_study.load(str(journal), "tuned")
    imported = optuna_study.space_of(study)
    path = tmp_path / "tuned.yaml"
    path.write_text(space_file(imported, "tuned", "Optuna"))
    space = load_space(str(path))
    assert dict(space.dimensions) == {
        "learning_rate": Float(1e-5, 0.1, "log"),
        "n_layers": Int(1, 3),
        "width": Categorical((16, 32, 48, 64)),
        "prioritised": Bool(),
        "alpha": Float(0.1, 1.0),
        "tree": Categorical(("sum", "heap")),
    }
    assert space.conditions["tree"] == space.conditions["alpha"], "of the same parent, not of each other"
    assert (space.conditions["alpha"].parent, space.conditions["alpha"].values) == ("prioritised", (True,))
    assert "The condition of alpha was read off 16 trials" in path.read_text()


def test_the_trials_of_an_optuna_study_are_points_of_the_space_and_higher_is_better(journal):
    study = optuna_study.load(str(journal), "tuned")
    imported = optuna_study.space_of(study)
    found = optuna_study.trials_of(study, imported)
    space = checked(imported, "x")
    assert all(space.validate(e.candidate) == [] for e in found)
    assert [e.status for e in found] == ["completed"] * 3 + ["pruned"] + ["completed"] * 12
    best = max((e for e in found if e.score is not None), key=lambda e: e.score)
    assert (best.score, dict(best.candidate)) == (-study.best_value, study.best_params)


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_infinite_values_are_failures(tmp_path, direction):
    study = optuna.create_study(storage=f"sqlite:///{tmp_path}/o.db", study_name="o", direction=direction)
    for value in (1.0, math.inf, -math.inf):
        study.add_trial(optuna.trial.create_trial(params={"x": 0.5}, distributions={"x": UNIT}, value=value))
    found = optuna_study.trials_of(study, optuna_study.space_of(study))
    sign = 1.0 if direction == "maximize" else -1.0
    assert [(e.score, e.status) for e in found] == [(sign, "completed"), (None, "failed"), (None, "failed")]


def test_our_own_storage_file_comes_back_as_our_space(tmp_path):
    space = checked(configspace.read(FILE), "made")
    trials = [
        Trial(
            "method", "search", i, space.sample(i), 10, status=Status.COMPLETED, score=float(i), scores=((float(i),),)
        )
        for i in range(12)
    ]
    optuna_storage.write(tmp_path / "o", "mine", trials, space)
    study = optuna_study.load(str(tmp_path / "o"), "mine")
    imported = optuna_study.space_of(study)
    again = checked(imported, "made")
    assert dict(again.dimensions) == dict(space.dimensions)
    assert {k: (c.parent, set(c.values)) for k, c in again.conditions.items()} == {
        k: (c.parent, set(c.values))
        for k, c in space.conditions.items()
        if k != "tau"  # it never was absent
    }
    assert [(e.candidate, e.score) for e in optuna_study.trials_of(study, imported)] == [
        (t.candidate, t.score) for t in trials
    ]


def frozen(params, distributions):
    return optuna.trial.create_trial(params=params, distributions=distributions, value=1.0)


def made(*trials, **options):
    study = optuna.create_study(**options)
    for params, distributions in trials:
        study.add_trial(
            optuna.trial.create_trial(params=params, distributions=distributions, values=[1.0] * len(study.directions))
        )
    return study


UNIT, HALF = optuna.distributions.FloatDistribution(0, 1), optuna.distributions.FloatDistribution(0, 0.5)
FLAG = optuna.distributions.CategoricalDistribution((False, True))


def test_optuna_studies_that_cannot_be_represented():
    with pytest.raises(UsageError, match="has no trial with parameters"):
        optuna_study.space_of(made())
    with pytest.raises(UsageError, match="'x': its range changed from"):
        optuna_study.space_of(made(({"x": 0.1}, {"x": UNIT}), ({"x": 0.1}, {"x": HALF})))
    several = {"a": FLAG, "b": FLAG}
    ambiguous = made(({"a": True, "b": True, "x": 0.1}, {**several, "x": UNIT}), ({"a": False, "b": False}, several))
    with pytest.raises(UsageError, match="'a', 'b' could each tell when"):
        optuna_study.space_of(ambiguous)
    with pytest.raises(UsageError, match="no single other parameter tells when"):
        optuna_study.space_of(made(({"x": 0.1}, {"x": UNIT}), ({"y": 0.1}, {"y": UNIT})))
    none = optuna.distributions.CategoricalDistribution(("a", None))
    with pytest.raises(UsageError, match="None among the choices"):
        optuna_study.space_of(made(({"x": None}, {"x": none})))
    two = made(({"x": 0.1}, {"x": UNIT}), directions=["maximize", "minimize"])
    with pytest.raises(UsageError, match="has 2 objectives"):
        optuna_study.trials_of(two, optuna_study.space_of(two))


def test_storages_that_are_not_there(journal, tmp_path):
    with pytest.raises(UsageError, match=r"--study: '.*' has several; say which. Known: empty, tuned"):
        optuna_study.load(str(journal))
    with pytest.raises(UsageError, match=r"no study 'tund'.*Did you mean 'tuned'"):
        optuna_study.load(str(journal), "tund")
    with pytest.raises(UsageError, match="there is no file"):
        optuna_study.load(str(tmp_path / "missing.log"))
    with pytest.raises(UsageError, match="there is no database"):
        optuna_study.load(f"sqlite:///{tmp_path}/missing.db")
    assert not (tmp_path / "missing.db").exists()
    (tmp_path / "broken.log").write_text("no json\n")
    with pytest.raises(UsageError, match="holds no study of Optuna"):
        optuna_study.load(str(tmp_path / "broken.log"))
    (tmp_path / "broken.db").write_text("no database\n" * 100)
    with pytest.raises(UsageError, match="cannot be read as a storage of Optuna"):
        optuna_study.load(f"sqlite:///{tmp_path}/broken.db")
