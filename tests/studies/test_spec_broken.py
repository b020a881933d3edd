"""A corpus of broken experiments: each gives one error with all of its problems, each where it stands.

The first lines of a file say what to expect: ``# expect LINE:COLUMN | field | fragment | fragment``.
The problems must be these and no others.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from autorl.errors import UsageError
from autorl.studies import comparison
from autorl.studies.positions import MAX_BYTES, MAX_VALUES
from autorl.studies.specification import SpecificationError, load, parse

FOLDER = Path(__file__).parent / "broken_specifications"
FILES = sorted(FOLDER.glob("*.yaml"))


def read(path, **options):
    """Read an experiment as what it is, a study or a comparison."""
    return (comparison.load if comparison.is_comparison(path) else load)(path, **options)


def expectations(path):
    """Return [(line, column, field, fragments)] of a file of the corpus."""
    found = []
    for line in path.read_bytes().decode("utf-8", "replace").splitlines():
        if line.startswith("# expect "):
            place, field, *fragments = (part.strip() for part in line.removeprefix("# expect ").split(" | "))
            row, column = place.split(":")
            found.append((int(row), int(column), field, fragments))
    return found


def test_the_corpus_is_large_and_says_what_it_expects():
    assert len(FILES) >= 60
    assert all(expectations(path) for path in FILES)
    assert sum(len(expectations(path)) > 1 for path in FILES) >= 5, "too few files with several problems"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_problem_is_reported_where_it_stands(path):
    expected = sorted(expectations(path))
    with pytest.raises(SpecificationError) as caught:
        read(path)
    error = caught.value
    assert error.exit_code == 2
    assert sorted((p.line, p.column, p.field) for p in error.problems) == [e[:3] for e in expected], str(error)
    lines = str(error).splitlines()
    assert len(lines) == len(expected), "one line a problem"
    for line, column, field, fragments in expected:
        start = f"{path.name}:{line}:{column}: {field + ': ' if field else ''}"
        matching = [text for text in lines if start in text and all(fragment in text for fragment in fragments)]
        assert matching, f"no line with {start!r} and {fragments}:\n{error}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_structure_is_checked_without_the_references_too(path):
    try:
        read(path, references=False)
        found = set()
    except SpecificationError as error:
        found = {(p.line, p.column, p.field) for p in error.problems}
    assert found <= {e[:3] for e in expectations(path)}


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("", "empty"),
        ("# only a comment\n", "empty"),
        ("---\n", "expected fields such as"),
        ("seeds: [" + "1, " * MAX_VALUES + "1]\n", "more than"),
        ("description: " + "x" * MAX_BYTES, "too large"),
        ("a: " + "[" * 5000, "nested too deep"),
        ("? [a]\n: b\n", "a key must be a plain word"),
        ("%YAML 9.9\n---\na: b\n", "not readable as YAML"),
        ("a: 'unclosed", "not readable as YAML"),
        ("\x00", "control character"),
    ],
    ids=["empty", "comment", "marker", "many values", "large", "deep", "key", "version", "quote", "nul"],
)
def test_texts_that_are_no_experiment(text, fragment):
    with pytest.raises(SpecificationError, match=fragment) as caught:
        parse(text, "broken.yaml")
    assert all(str(p).startswith("broken.yaml:") and p.line and p.column for p in caught.value.problems)


def test_a_file_that_is_too_large_is_not_parsed(tmp_path):
    path = tmp_path / "large.yaml"
    path.write_bytes(b"# \n" * MAX_BYTES)
    with pytest.raises(SpecificationError, match=r"large\.yaml:1:1: the file is too large"):
        load(path)


def test_a_file_or_name_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("learner: ppo\n")
    with pytest.raises(UsageError, match=r"no file 'mien\.yaml'.*Did you mean 'mine\.yaml'"):
        load("mien.yaml")
    with pytest.raises(UsageError, match=r"no file 'quickstart\.yaml'.*experiment 'quickstart'"):
        load("quickstart.yaml")
    with pytest.raises(UsageError, match=r"unknown experiment 'quickstrat'\. Did you mean 'quickstart'"):
        load("quickstrat")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(UsageError, match="not a file"):
        load("folder.yaml")


def test_reading_a_specification_imports_nothing_heavy():
    code = (
        "import sys, autorl.studies.specification as s; s.load('quickstart', ['search.method=tpe'], references=False);"
        "heavy = {'jax', 'torch', 'optuna', 'evosax', 'gymnax', 'matplotlib', 'pandas', 'scipy'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
