"""Expansion of matrices and the names of their jobs."""

from __future__ import annotations

from typing import Any

import pytest
from local_github.actions.matrix import expand, job_name
from local_github.actions.workflow_file import WorkflowInvalid, load_yaml

# The example of "Example: Expanding configurations" in GitHub's workflow syntax, with the combinations it lists.
EXAMPLE = """
matrix:
  fruit: [apple, pear]
  animal: [cat, dog]
  include:
    - color: green
    - {color: pink, animal: cat}
    - {fruit: apple, shape: circle}
    - fruit: banana
    - {fruit: banana, animal: cat}
"""


def values(text: str) -> list[dict[str, Any]]:
    """The matrix contexts of a strategy in YAML."""
    return [dict(found.values) for found in expand(load_yaml(text, "x"), "x").combinations]


def test_include_extends_or_adds_combinations() -> None:
    """An entry extends the combinations whose original values it keeps, and overwrites values that were added."""
    assert values(EXAMPLE) == [
        {"fruit": "apple", "animal": "cat", "color": "pink", "shape": "circle"},
        {"fruit": "apple", "animal": "dog", "color": "green", "shape": "circle"},
        {"fruit": "pear", "animal": "cat", "color": "pink"},
        {"fruit": "pear", "animal": "dog", "color": "green"},
        {"fruit": "banana"},
        {"fruit": "banana", "animal": "cat"},
    ]


def test_exclude_removes_combinations_before_include() -> None:
    """A partial match is enough; include may add an excluded combination again."""
    text = "matrix: {os: [a, b], v: [1, 2], exclude: [{os: a, v: 2}, {os: b}], include: [{os: b, v: 2}]}"
    assert values(text) == [{"os": "a", "v": 1}, {"os": "b", "v": 2}]
    assert values("matrix: {include: [{a: 1}, {b: 2}]}") == [{"a": 1}, {"b": 2}]
    assert values("fail-fast: false") == [{}]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("matrix: {static: [false, true], v: [1.5]}", ["build (false, 1.5)", "build (true, 1.5)"]),
        ("matrix: {node: [{version: 14, env: x}], tags: [[a, b]]}", ["build (14, x, a, b)"]),
        ("matrix: {os: [a], include: [{os: a, extra: 1}, {os: z, extra: 2}]}", ["build (a)", "build (z, 2)"]),
        ("{}", ["build"]),
    ],
)
def test_jobs_are_named_by_their_values(text: str, names: list[str]) -> None:
    """Booleans are lower case, objects are flattened, and values that include adds to a combination are left out."""
    found = expand(load_yaml(text, "x"), "x").combinations
    assert [job_name("build", combination, evaluated=False) for combination in found] == names


def test_long_names_are_cut_and_evaluated_names_are_kept() -> None:
    """The limit is 100 characters; a name that was an expression gets no values."""
    (only,) = expand(load_yaml(f"matrix: {{v: [{'x' * 200}]}}", "x"), "x").combinations
    name = job_name("build", only, evaluated=False)
    assert (len(name), name[-3:]) == (100, "...")
    assert job_name("Build 1", only, evaluated=True) == "Build 1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("matrix: {v: []}", "strategy.matrix.v must be a list"),
        ("matrix: {v: 3}", "strategy.matrix.v must be a list"),
        ("matrix: [1]", "strategy.matrix must be a mapping"),
        ("matrix: {v: [1], exclude: [{v: 1}]}", "1 to 256 jobs"),
        (f"matrix: {{a: {list(range(17))}, b: {list(range(16))}}}", "1 to 256 jobs \\(got 272\\)"),
        ("matrix: {v: [1], include: [1]}", "include must be a list of mappings"),
        ("max-parallel: 0", "max-parallel must be a positive number"),
        ("fail-fast: 1", "fail-fast must be true or false"),
    ],
)
def test_malformed_strategy_is_refused(text: str, message: str) -> None:
    """The message names the member and its value."""
    with pytest.raises(WorkflowInvalid, match=message):
        expand(load_yaml(text, "x"), "job one")
