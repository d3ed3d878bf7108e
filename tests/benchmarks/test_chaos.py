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
    assert counted["kinds"] == {"aws reset": [2, 1]}
    assert counted["violations"] == {"3": ["no_orphans: x is nobody's"]}
    table = chaos.table({"watch": counted})
    assert "| watch 3 | no_orphans: x is nobody's |" in table
    assert "| aws reset | 2 | 1 |" in table
    assert "| disk full |  |  |" in table


def test_later_seeds_are_added_to_the_committed_figures() -> None:
    """A session continues after the last seed of another one, whose results are gone; no seed counts twice."""
    first = {"seed": 1, "faults": ["aws reset"], "met": ["aws reset"], "runs": [["train", ""]], "violations": []}
    bad = {"seed": 2, "faults": ["disk full"], "met": [], "runs": [["train", "OSError"]], "violations": ["x"]}
    known = chaos.figures([first])
    assert chaos.added(known, [first]) == known
    assert chaos.added(known, [first, bad]) == chaos.figures([first, bad])


def test_page_has_the_committed_figures() -> None:
    """The page is what `make chaos OPTIONS=--page` writes."""
    assert chaos.PAGE.read_text(encoding="utf-8") == chaos.rendered()
