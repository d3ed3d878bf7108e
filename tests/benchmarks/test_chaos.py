"""docs/chaos.md: the figures of results, and that the page has those of docs/chaos.json."""

from __future__ import annotations

from tests.benchmarks import chaos


def test_figures_count_runs_by_the_faults_that_they_met() -> None:
    """A run counts once for each kind; reruns, mixes, seeds without a fault and violations are counted."""
    results = [
        {"seed": 1, "faults": ["aws reset"], "met": ["aws reset"], "runs": [["train", ""]], "violations": []},
        {
            "seed": 3,
            "faults": ["aws reset", "disk full"],
            "met": ["aws reset", "aws reset"],
            "runs": [["train", "CloudError"], ["train", ""]],
            "violations": ["no_orphans: x is nobody's"],
        },
        {"seed": 4, "faults": ["aws stale"], "met": [], "runs": [["train", ""]], "violations": []},
    ]
    counted = chaos.figures(results)
    assert (counted["runs"], counted["mixes"], counted["without_a_fault_met"], counted["last_seed"]) == (3, 1, 1, 4)
    assert (counted["kinds"]["aws reset"], counted["kinds"]["disk full"]) == ([2, 1], [0, 0])
    assert counted["violations"] == {"3": ["no_orphans: x is nobody's"]}
    assert "| 3 | no_orphans: x is nobody's |" in chaos.table(counted)


def test_page_has_the_committed_figures() -> None:
    """The page is what `make chaos OPTIONS=--page` writes."""
    assert chaos.PAGE.read_text(encoding="utf-8") == chaos.rendered()
