import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import synthetic as sy
import yaml
from scipy import stats

from autorl.analysis import report, scores
from autorl.analysis.checklist import checklist
from autorl.analysis.result import summarise
from autorl.outer.protocol import Status
from autorl.spaces import ArraySpace, Float, HyperparameterSpace, ProductSpace
from autorl.studies.trial import Trial

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """Checks that tags nest, and collects text, attributes, headings and tables."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.stack, self.tags, self.attributes, self.tables, self.ids = [], set(), [], [], []
        self.text, self.headings = "", []
        self.feed(text)
        self.close()
        assert self.stack == [], f"not closed: {self.stack}"

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.stack.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag in ("h1", "h2"):
            self.headings.append("")

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.stack.pop()

    def handle_endtag(self, tag):
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack[-1] == tag, f"</{tag}> closes <{self.stack[-1]}>"
        self.stack.pop()

    def handle_data(self, data):
        if "style" in self.stack:
            return
        self.text += data
        if {"td", "th"} & set(self.stack):
            self.tables[-1][-1][-1] += data
        if self.stack and self.stack[-1] in ("h1", "h2"):
            self.headings[-1] += data


def rendered(trials, specification=None, manifest=None, space=sy.SPACE):
    text = report.render(
        trials, specification or sy.specification(), sy.MANIFEST if manifest is None else manifest, space
    )
    return text, Page(text)


@pytest.fixture(scope="module")
def finished():
    trials = sy.study(count=20)
    return trials, *rendered(trials)


def test_numbers_equal_recomputation(finished):
    trials, _, page = finished
    (table,) = [t for t in page.tables if t[0][:2] == ["arm", "test IQM"]]
    assert [row[0] for row in table[1:]] == ["tpe", "random search", "default configuration"]
    for row, arm in zip(table[1:], ("method", "random", "default"), strict=True):
        (trial,) = [t for t in trials if (t.arm, t.phase) == (arm, "test")]
        assert row[1] == f"{stats.trim_mean(trial.scores[0], 0.25):.1f}"
        low, high = (float(x) for x in row[2].strip("[]").split(","))
        assert low < float(row[1]) < high
    assert f"scores {table[1][1]} {table[1][2]} on 10 test seeds" in page.text
    (ledger,) = [t for t in page.tables if t[0][:3] == ["arm", "phase", "trials"]]
    assert ledger[-1][4] == scores.count(sum(t.ledger.train_env_steps for t in trials))


def test_the_headline_is_the_results(finished):
    trials, _, page = finished
    result = summarise(trials, sy.specification())
    assert result["headline"] in page.text
    assert result["verdict"] in page.text
    assert page.headings == ["cartpole", "Result", "Winner", "Search", "Trials", "Failures", "Work", "Reproduction"]


def test_nothing_from_elsewhere_and_no_scripts(finished):
    _, text, page = finished
    assert not re.search(r"https?:|//\w|data:|@import|javascript:", text)
    assert not page.tags & {"script", "link", "img", "iframe", "object", "embed", "image", "foreignObject"}
    for name, value in page.attributes:
        assert not name.startswith("on")
        assert name not in ("src", "srcset", "action")
        if name in ("href", "xlink:href"):
            assert value.startswith("#")
    assert len(page.ids) == len(set(page.ids))
    for target in re.findall(r"url\(#([^)]+)\)", text):
        assert target in page.ids


def test_the_same_study_gives_the_same_bytes(finished):
    trials, text, _ = finished
    assert rendered(trials)[0] == text


def test_winner_can_be_copied_as_an_experiment(finished):
    trials, text, _ = finished
    copied = yaml.safe_load(re.search(r"<pre>(environment:.*?)</pre>", text, re.DOTALL)[1])
    (trial,) = [t for t in trials if (t.arm, t.phase) == ("method", "test")]
    assert copied["learner"] == {"algorithm": "ppo", "hyperparameters": dict(trial.candidate)}
    assert copied["environment"] == {"id": "gymnax:CartPole-v1"}
    assert copied["budget"] == {"env_steps": sy.STEPS}


def test_the_copied_experiment_is_one_that_autorl_reads(finished):
    trials, _, _ = finished
    from autorl.studies.specification import from_mapping

    for made, specification in ((trials, sy.specification()), (sy.pbt_study(), sy.specification("pbt"))):
        text = report.winner_yaml(summarise(made, specification), specification)
        read = from_mapping(yaml.safe_load(text))
        assert read.search is None
        assert (read.schedule is None) == (specification["search"]["method"] == "tpe")


def test_hostile_names_are_text(finished):
    trials, *_ = finished
    evil = '<script>alert("x")</script>&amp;\'"'
    hostile = [replace(t, candidate={**t.candidate, evil: evil}, message=evil) for t in trials]
    specification = sy.specification(name=evil, description=evil, environment=[{"id": evil}])
    specification["search"] = {"space": evil, "method": evil, "settings": {evil: evil}}
    specification["learner"] = {"algorithm": evil, "hyperparameters": {evil: evil}}
    space = HyperparameterSpace(evil, {**sy.SPACE.dimensions, evil: Float(0, 1)}, sy.SPACE.conditions)
    manifest = {
        **sy.MANIFEST,
        "command": [evil],
        "processor": evil,
        "packages": {evil: evil},
        "device": evil,
        "platform": evil,
    }
    text, page = rendered(hostile, specification, manifest, space)
    assert "<script" not in text
    assert "script" not in page.tags
    assert page.text.count('<script>alert("x")</script>') > 10  # shown, as text
    assert page.headings[0] == evil


def test_text_that_looks_like_mathematics_is_text():
    space = HyperparameterSpace("x", {"cost_$": Float(0, 1), "a$b$c": Float(0, 1)})
    own = [Trial("method", "search", i, space.sample(i), 1, status=Status.COMPLETED, score=1.0 * i) for i in range(3)]
    assert "a$b$c" in rendered(own, space=space)[1].text


def test_unfinished_studies(finished):
    trials, *_ = finished
    text, page = rendered([t for t in trials if t.phase == "search"][:6])
    assert "No result yet" in page.text
    assert "unfinished study" in page.text
    assert "Result" not in page.headings
    assert "Search" in page.headings
    assert "there is no result yet" in text
    best = max(t.score for t in trials[:6] if t.score is not None)
    assert scores.number(best) not in text.split("<h2>")[0]  # a search score is no headline


def test_a_study_that_has_not_begun():
    _, page = rendered([], manifest={}, space=None)
    assert page.headings == ["cartpole", "Reproduction"]
    assert "no trial has run" in page.text


def test_all_trials_failed():
    failed = [
        replace(t, status=Status.DIVERGED, score=None, scores=((None,) * len(t.seeds),)) for t in sy.study(count=4)
    ]
    _, page = rendered(failed)
    assert "every test training failed" in page.text
    assert f"{len(failed)} of {len(failed)} trials failed" in page.text
    assert "nan" not in re.sub(r"[a-z]*nan[a-z]+", "", page.text.lower())


def test_failed_test_trainings_are_said_at_the_curves(finished):
    trials, text, _ = finished
    words = "Failed trainings count as the worst score of all arms."
    assert words not in text
    hurt = [
        replace(t, scores=((None, *t.scores[0][1:]),)) if (t.arm, t.phase) == ("method", "test") else t for t in trials
    ]
    assert words in rendered(hurt)[0]


def test_population_based_training():
    trials = sy.pbt_study()
    _, page = rendered(trials, sy.specification("pbt"), space=sy.PBT_SPACE)
    assert "Schedules: the population in grey, the winner's lineage in blue" in page.text
    assert "Lineage: who continued from whom" in page.text
    assert "A schedule: hyperparameters change during the training." in page.text


def test_own_objective():
    trials = [Trial("method", "search", i, {"x": i / 9}, 1, status=Status.COMPLETED, score=float(i)) for i in range(10)]
    space = HyperparameterSpace("x", {"x": Float(0, 1)})
    _, page = rendered(trials, sy.specification(learner=None, environment=[]), space=space)
    assert "Best score told: 9.00 (trial 9" in page.text
    assert "study of scores that were told" in page.text
    assert "unfinished" not in page.text
    assert "x: 1.0" in page.text


def test_arrays_are_left_out_but_do_no_harm():
    space = ProductSpace({"h": HyperparameterSpace("h", {"x": Float(0, 1)}), "w": ArraySpace({"w": (64, 64)})})
    trials = [
        Trial("method", "search", i, space.to_json(space.sample(i)), 1, status=Status.COMPLETED, score=float(i))
        for i in range(3)
    ]
    text, _ = rendered(trials, space=space)
    assert len(text) < 120_000
    assert json.dumps(trials[0].candidate["w"]["w"])[20:60] not in text


def test_checklist_compares_the_seeds_it_was_given():
    result, specification = summarise([], sy.specification()), sy.specification()
    rows = dict(checklist(result, specification, sy.MANIFEST, sy.SPACE).rows)
    assert rows["Tuning and test seeds are disjoint"] == "yes, compared seed by seed"
    shared = sy.MANIFEST["seeds"]["tuning"][2]
    manifest = {**sy.MANIFEST, "seeds": {**sy.MANIFEST["seeds"], "test": [shared, 5]}}
    rows = dict(checklist(result, specification, manifest, sy.SPACE).rows)
    assert rows["Tuning and test seeds are disjoint"] == f"NO: {shared} play both roles"
    assert all(dict(checklist(result, specification, {}, None).rows).values())


def test_checklist_lists_the_seeds_that_search_trials_really_had():
    result, specification = summarise([], sy.specification()), sy.specification()
    base, tested = sy.MANIFEST["seeds"]["search"], sy.MANIFEST["seeds"]["test"]
    raced = [
        Trial("method", "search", 0, {}, 1, seeds=(*base, 77, 78)),
        Trial("method", "search", 1, {}, 1, seeds=(*base, 77)),
    ]
    rows = dict(checklist(result, specification, sy.MANIFEST, sy.SPACE, raced).rows)
    assert rows["Search seeds"] == f"3: {base[0]}, 77, 78 (1 of every trial, 2 of trials that were trained on more)"
    assert rows["Tuning and test seeds are disjoint"] == "yes, compared seed by seed"
    shared = [replace(raced[0], seeds=(*base, tested[4]))]
    rows = dict(checklist(result, specification, sy.MANIFEST, sy.SPACE, shared).rows)
    assert rows["Tuning and test seeds are disjoint"] == f"NO: {tested[4]} play both roles"
    plain = dict(checklist(result, specification, sy.MANIFEST, sy.SPACE).rows)
    assert plain["Search seeds"] == f"1: {base[0]}"
    with_trials, _ = rendered(raced)
    assert f"{base[0]}, 77, 78 (1 of every trial" in with_trials


def test_everything_the_manifest_knows_is_there(finished):
    _, _, page = finished
    for words in (
        "autorl run cartpole search.method=tpe",
        "jax 0.10.2",
        "A processor <&> Co, 2 cores",
        "0123456789abcdef",
    ):
        assert words in page.text
    for role in ("search", "tuning", "test"):
        assert ", ".join(map(str, sy.MANIFEST["seeds"][role])) in page.text


def test_what_became_of_held_out_tasks_and_what_teachers_took_is_on_the_page(finished):
    trials, text, _ = finished
    diary = {"unlearned": [30, 10]}
    one = {
        "environment": 0,
        "seed": 1,
        "tasks": [1.0, 0.0],
        "successes": [1.0, 0.0],
        "diary": diary,
        "teacher_env_steps": 60,
    }
    shown = report.render(trials, sy.specification(), sy.MANIFEST, sy.SPACE, lessons={"method": [one]})
    for words in ("Over held-out tasks", "CVaR 10%", "before it included: tpe 100."):
        assert words in shown
        assert words not in text


def test_write_report(tmp_path, finished):
    trials, text, _ = finished
    report.write_report(tmp_path / "report.html", trials, sy.specification(), sy.MANIFEST, sy.SPACE)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == text
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_a_large_study_makes_a_page_that_opens():
    rng = np.random.default_rng(0)
    trials = [
        Trial(
            "method",
            "search",
            i,
            sy.SPACE.sample(i),
            100,
            seeds=(1,),
            status=Status.COMPLETED,
            score=float(rng.normal()),
        )
        for i in range(512)
    ]
    text, _ = rendered(trials)
    assert len(text) < 3_000_000


def test_importing_analysis_imports_nothing_heavy():
    code = (
        "import sys, autorl.analysis.report, autorl.analysis.compare\n"
        "print([m for m in ('jax', 'torch', 'optuna', 'evosax', 'matplotlib', 'rich', 'pandas') if m in sys.modules])"
    )
    root = Path(report.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], check=False, cwd=root, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr.strip()) == ("[]", "")


def test_figures_are_written_beside_the_report(tmp_path, finished):
    trials, text, _ = finished
    (tmp_path / "figures").mkdir()
    arguments = trials, sy.specification(), sy.MANIFEST, sy.SPACE
    report.write_report(tmp_path / "report.html", *arguments, figures=tmp_path / "figures")
    written = {f.stem: f.read_text(encoding="utf-8") for f in (tmp_path / "figures").iterdir()}
    assert set(written) >= {"history", "slices", "test-scores", "learning-curves"}
    assert all(svg.startswith("<svg") and svg in text for svg in written.values())
