"""What a scalar is: the schema decides, and where it leaves it open nothing surprises."""

import math

import pytest

from autorl.studies.convert import resolve
from autorl.studies.specification import SpecificationError, from_mapping, parse

BASE = "environment: gymnax:CartPole-v1\nlearner: {{algorithm: ppo, hyperparameters: {{x: {value}}}}}\nbudget: {{env_steps: 1000}}\n"


def hyperparameter(text):
    """Return what a hyperparameter written as ``text`` is read as."""
    spec = parse(BASE.format(value=text), references=False)
    return spec.learner.hyperparameters["x"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3e-4", 3e-4),
        ("3E-4", 3e-4),
        ("1e5", 1e5),
        (".5", 0.5),
        ("5.", 5.0),
        ("-1.5", -1.5),
        ("+2", 2),
        ("012", 12),
        ("100_000", 100_000),
        ("1_000.5", 1000.5),
        ("0x10", "0x10"),
        ("0o17", "0o17"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("1__0", "1__0"),
        ("_1", "_1"),
        ("1e", "1e"),
        ("on", "on"),
        ("yes", "yes"),
        ("no", "no"),
        ("off", "off"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("tanh", "tanh"),
        ("'3e-4'", "3e-4"),
        ('"true"', "true"),
        ("'null'", "null"),
        ("inf", "inf"),
    ],
)
def test_where_the_schema_leaves_it_open(text, value):
    read = hyperparameter(text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("text", ["null", "~", "", ".inf", "-.inf", ".nan", "1e999", "9" * 25, "[1]", "{a: 1}"])
def test_what_no_hyperparameter_can_be(text):
    with pytest.raises(SpecificationError) as caught:
        hyperparameter(text)
    assert [p.field for p in caught.value.problems] == ["learner.hyperparameters.x"]


def test_digits_too_many_for_a_number_are_text():
    assert hyperparameter("9" * 5000) == "9" * 5000


def test_not_finite_numbers_are_numbers():
    assert resolve(".inf") == math.inf
    assert resolve("-.inf") == -math.inf
    assert math.isnan(resolve(".nan"))


TEXT = "environment: gymnax:CartPole-v1\nlearner: ppo\nbudget: {{env_steps: 1000}}\n{line}\n"


@pytest.mark.parametrize("text", ["012", "3e-4", "true", "on", "1_000", "2024-01-01", "0x10"])
def test_a_text_stays_as_written(text):
    assert parse(TEXT.format(line=f"description: {text}"), references=False).description == text
    assert parse(TEXT.format(line=f"name: {text}"), references=False).name == text


@pytest.mark.parametrize(("text", "value"), [("64", 64), ("064", 64), ("1_0", 10), ("1e2", 100), ("5.0", 5), ("+7", 7)])
def test_whole_numbers(text, value):
    read = parse(TEXT.format(line=f"evaluation: {{episodes: {text}}}"), references=False).evaluation.episodes
    assert read == value
    assert type(read) is int


@pytest.mark.parametrize("text", ["5.5", "1e-1", "'5'", "five", "true", "null", "1:30", ".inf", "0x5", "1e300", "[5]"])
def test_what_is_no_whole_number(text):
    with pytest.raises(SpecificationError, match=r"evaluation\.episodes: expected a whole number"):
        parse(TEXT.format(line=f"evaluation: {{episodes: {text}}}"), references=False)


@pytest.mark.parametrize("value", [5, 5.0])
def test_a_number_may_be_whole_and_stays_a_float(value):
    spec = from_mapping(
        {"search": {"space": "x"}, "budget": {"trainings": 2}, "expected": {"minutes": value, "score": (1, 2)}},
        references=False,
    )
    assert type(spec.expected.minutes) is float
    assert spec.expected.score == (1.0, 2.0)


def test_numbers_of_numpy_are_plain_numbers():
    numpy = pytest.importorskip("numpy")
    spec = from_mapping(
        {
            "environment": "gymnax:CartPole-v1",
            "learner": {
                "algorithm": "ppo",
                "hyperparameters": {"gamma": numpy.float32(0.5), "n_envs": numpy.int64(4), "b": numpy.bool_(True)},
            },
            "budget": {"env_steps": numpy.int32(1000)},
        },
        references=False,
    )
    values = dict(spec.learner.hyperparameters)
    assert values == {"gamma": 0.5, "n_envs": 4, "b": True}
    assert [type(v) for v in values.values()] == [float, int, bool]
    assert type(spec.budget.env_steps) is int


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path):
    from autorl.studies.specification import load

    path = tmp_path / "windows.yaml"
    path.write_bytes(b"\xef\xbb\xbfenvironment: gymnax:CartPole-v1\r\nlearner: ppo\r\nbudget: {env_steps: 1000}\r\n")
    assert load(path, references=False).name == "windows"
    path.write_bytes(b"\xef\xbb\xbfenvironment: gymnax:CartPole-v1\r\nlearner: ppo\r\nbudget: {env_steps: no}\r\n")
    with pytest.raises(SpecificationError, match=r"windows\.yaml:3:21: budget\.env_steps"):
        load(path, references=False)
