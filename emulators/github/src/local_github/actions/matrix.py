"""Expands `strategy.matrix` into the combinations of a job and names their jobs. Runs nothing.

https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstrategymatrix
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from local_github.actions.pre_run_expressions import as_text
from local_github.actions.workflow_file import WorkflowInvalid

_JOBS_LIMIT = 256
_NAME_CHARACTERS = 100


@dataclass(frozen=True, kw_only=True)
class Combination:
    """One job of a matrix: its `matrix` context and the values that GitHub adds to the job's name."""

    values: Mapping[str, Any]
    named: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """A `strategy:` block with resolved expressions; without a matrix it has one empty combination."""

    combinations: tuple[Combination, ...]
    fail_fast: bool
    max_parallel: int | None

    def context(self, index: int) -> dict[str, Any]:
        """The `strategy` context of the job with this index."""
        total = len(self.combinations)
        return {
            "fail-fast": self.fail_fast,
            "job-index": index,
            "job-total": total,
            "max-parallel": self.max_parallel or total,
        }


def expand(strategy: Any, where: str) -> Strategy:
    """The strategy of a job; None is a job without one.

    Raises:
        WorkflowInvalid: a part has the wrong form, or the matrix has no job or more than 256.
    """
    block = {} if strategy is None else strategy
    if not isinstance(block, Mapping):
        raise WorkflowInvalid(f"{where}: strategy must be a mapping (got {block!r})")
    fail_fast, parallel = block.get("fail-fast", True), block.get("max-parallel")
    if not isinstance(fail_fast, bool):
        raise WorkflowInvalid(f"{where}: strategy.fail-fast must be true or false (got {fail_fast!r})")
    if parallel is not None and (isinstance(parallel, bool) or not isinstance(parallel, int | float) or parallel < 1):
        raise WorkflowInvalid(f"{where}: strategy.max-parallel must be a positive number (got {parallel!r})")
    matrix = block.get("matrix")
    found = (
        (Combination(values={}, named=()),) if matrix is None else _combinations(matrix, f"{where}: strategy.matrix")
    )
    return Strategy(combinations=found, fail_fast=fail_fast, max_parallel=None if parallel is None else int(parallel))


def _combinations(matrix: Any, where: str) -> tuple[Combination, ...]:
    if not isinstance(matrix, Mapping):
        raise WorkflowInvalid(f"{where} must be a mapping (got {matrix!r})")
    vectors = {str(name): values for name, values in matrix.items() if name not in ("include", "exclude")}
    for name, values in vectors.items():
        if not isinstance(values, list) or not values:
            raise WorkflowInvalid(f"{where}.{name} must be a list of values (got {values!r})")
    products = [dict(zip(vectors, values, strict=True)) for values in itertools.product(*vectors.values())]
    excluded = _objects(matrix.get("exclude"), f"{where}.exclude")
    originals = [product for product in products if vectors and not any(_fits(rule, product) for rule in excluded)]
    extended, added = [dict(original) for original in originals], []
    for entry in _objects(matrix.get("include"), f"{where}.include"):
        # An entry extends each combination whose original values it does not change; otherwise it is one of its own.
        targets = [
            index
            for index, original in enumerate(originals)
            if all(_equal(original[name], value) for name, value in entry.items() if name in original)
        ]
        for index in targets:
            extended[index].update(entry)
        if not targets:
            added.append(dict(entry))
    pairs = [*zip(extended, originals, strict=True), *((entry, entry) for entry in added)]
    if not pairs or len(pairs) > _JOBS_LIMIT:
        raise WorkflowInvalid(f"{where} must have 1 to {_JOBS_LIMIT} jobs (got {len(pairs)})")
    return tuple(Combination(values=values, named=tuple(_leaves(named))) for values, named in pairs)


def _objects(value: Any, where: str) -> list[Mapping[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise WorkflowInvalid(f"{where} must be a list of mappings (got {value!r})")
    return value


def _fits(rule: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    return all(name in values and _equal(values[name], value) for name, value in rule.items())


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, Mapping | list) or isinstance(right, Mapping | list):
        return bool(left == right)
    return as_text(left).lower() == as_text(right).lower()


def _leaves(value: Any) -> Iterator[str]:
    """The scalars inside a value, as text, without empty ones."""
    if isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _leaves(item)
    elif text := as_text(value):
        yield text


def job_name(name: str, combination: Combination, *, evaluated: bool) -> str:
    """GitHub's name of a job of a matrix: the values in parentheses, unless `name` is an `evaluated` expression."""
    full = name if evaluated or not combination.named else f"{name} ({', '.join(combination.named)})"
    return full if len(full) <= _NAME_CHARACTERS else f"{full[: _NAME_CHARACTERS - 3]}..."
