"""The catalogues: names from any folder, a user's own first, and no way out of them."""

import os
from pathlib import Path

import pytest

from autorl import catalogue
from autorl.errors import UnknownNameError, UsageError


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory and no AUTORL_PATH."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUTORL_PATH", raising=False)
    return tmp_path


def write(path: Path, text: str = "{}") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_shipped_ones_are_found_from_anywhere(here):
    assert "quickstart" in catalogue.names("experiments")
    assert "ppo_arlbench" in catalogue.names("search_spaces")
    assert catalogue.find("search_spaces", "ppo_arlbench").is_file()
    assert "schema" not in catalogue.names("experiments"), "schema.json is no experiment"


def test_own_folders_come_first_then_those_of_the_path_in_order(here, monkeypatch):
    shipped = catalogue.find("experiments", "quickstart")
    first, second = here / "first", here / "second"
    monkeypatch.setenv("AUTORL_PATH", os.pathsep.join([str(first), "", "second", str(here / "missing")]))
    theirs = write(second / "experiments" / "quickstart.yaml")
    assert catalogue.find("experiments", "quickstart") == theirs
    better = write(first / "experiments" / "quickstart.yaml")
    assert catalogue.find("experiments", "quickstart") == better
    own = write(here / "experiments" / "quickstart.yaml")
    assert catalogue.find("experiments", "quickstart") == own
    assert [p.parent for p in (own, better, theirs, shipped)] == catalogue.roots("experiments")


def test_the_working_directory_is_not_listed_twice(here, monkeypatch):
    write(here / "experiments" / "mine.yaml")
    monkeypatch.setenv("AUTORL_PATH", str(here))
    assert catalogue.roots("experiments").count(here / "experiments") == 1


def test_only_fitting_entries_have_names(here):
    for name in ("good.yaml", "also-good.v2.yml", "Bad.yaml", ".hidden.yaml", "notes.txt", "x" * 65 + ".yaml"):
        write(here / "search_spaces" / name)
    (here / "search_spaces" / "folder.yaml").mkdir()
    own = {name for name, path in catalogue.names("search_spaces").items() if path.is_relative_to(here)}
    assert own == {"good", "also-good.v2"}


def test_an_objective_is_a_folder(here):
    write(here / "learned_objectives" / "mine" / "graph.json")
    write(here / "learned_objectives" / "file.yaml")
    assert catalogue.find("learned_objectives", "mine") == here / "learned_objectives" / "mine"
    with pytest.raises(UnknownNameError):
        catalogue.find("learned_objectives", "file")


def test_a_link_out_of_the_folder_is_no_entry(here):
    outside = write(here / "outside.yaml")
    (here / "experiments").mkdir()
    (here / "experiments" / "link.yaml").symlink_to(outside)
    assert "link" not in catalogue.names("experiments")


@pytest.mark.parametrize(
    "name", ["../escape", "/etc/passwd", "a/b", "", ".", "..", ".hidden", "A", "a b", "a\x00", "x" * 65]
)
@pytest.mark.parametrize("kind", catalogue.KINDS)
def test_names_cannot_leave_the_catalogue(here, kind, name):
    write(here / "escape.yaml")
    with pytest.raises(UsageError, match="is no name of a"):
        catalogue.find(kind, name)


def test_unknown_names_suggest(here):
    with pytest.raises(
        UnknownNameError, match=r"unknown experiment 'quickstar'\. Did you mean 'quickstart'\?"
    ) as caught:
        catalogue.find("experiments", "quickstar")
    assert caught.value.exit_code == 2
    with pytest.raises(UsageError, match=r"unknown catalogue 'experiment'\. Did you mean 'experiments'\?"):
        catalogue.roots("experiment")


def test_paths_of_files(here):
    path = write(here / "sub" / "Own Space.yaml")
    assert catalogue.find("search_spaces", path) == path
    assert catalogue.find("search_spaces", "sub/Own Space.yaml").samefile(path)
    with pytest.raises(
        UsageError, match=r"no file 'sub/own\.yaml'\. Did you mean|no file 'sub/own\.yaml'\. Known: Own Space"
    ):
        catalogue.find("search_spaces", "sub/own.yaml")
    with pytest.raises(UsageError, match="is no name of a learned objective"):
        catalogue.find("learned_objectives", "sub/x.yaml")


def test_inside_a_wheel_the_packaged_catalogue_counts(here, monkeypatch):
    package = here / "site" / "autorl"
    write(package / "catalogue.py")
    packaged = write(package / "_catalogue" / "experiments" / "packaged.yaml")
    write(here / "site" / "experiments" / "somebody_elses.yaml")
    monkeypatch.setattr(catalogue, "__file__", str(package / "catalogue.py"))
    assert catalogue.names("experiments") == {"packaged": packaged}


def test_a_neighbour_of_an_installed_package_is_not_taken_for_ours(here, monkeypatch):
    package = here / "site" / "autorl"
    write(package / "catalogue.py")
    write(here / "site" / "experiments" / "somebody_elses.yaml")
    monkeypatch.setattr(catalogue, "__file__", str(package / "catalogue.py"))
    assert catalogue.names("experiments") == {}
