"""What became of a search's candidates: read from the record, printed with the result and in the report."""

import synthetic as sy

from autorl.analysis import report, tables
from autorl.analysis.proposals import proposals_of
from autorl.analysis.result import summarise
from autorl.analysis.tables import proposals_table
from autorl.studies.record import Record

COUNTED = {
    "made": 1000, "trained": 300, "repeated": 40, "rejected": 200, "rejected: zero": 50, "rejected: no reward": 150,
    "duplicates": 500, "drifted": 20, "hit_rate": 0.625, "rejection_rate": 0.2, "population": 100, "fingerprints": 260,
}  # fmt: skip


def found(tmp_path):
    with Record.create(tmp_path / "record.sqlite") as record:
        record.set_meta("statistics/method", COUNTED)
    return proposals_of(tmp_path / "record.sqlite")


def test_what_a_search_counted_is_read_with_its_reasons_apart(tmp_path):
    own = found(tmp_path)
    assert list(own) == ["method"]
    assert own["method"]["reasons"] == {"no reward": 150, "zero": 50}
    assert not any(name.startswith("rejected:") for name in own["method"])
    assert (own["method"]["duplicates"], own["method"]["hit_rate"]) == (500, 0.625)


def test_it_stands_in_the_result_and_in_the_report(tmp_path):
    own = found(tmp_path)
    result = {**summarise(sy.study(), sy.specification("evolution")), "proposals": own}
    text = tables.render_result(result)
    page = report.render(sy.study(), sy.specification("evolution"), sy.MANIFEST, sy.SPACE, proposals=own)
    for said in ("62.5%", "1,000", "Rejected: 150 no reward, 50 zero.", "about 70 %"):
        assert said in text.replace("\n", " ")
        assert said in page


def test_a_method_that_counts_nothing_has_no_table(tmp_path):
    Record.create(tmp_path / "record.sqlite").close()
    assert proposals_of(tmp_path / "record.sqlite") == {}
    assert proposals_table({}, "tpe") is None
    assert "hit rate" not in tables.render_result(summarise(sy.study(), sy.specification()))
