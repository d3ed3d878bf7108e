"""Merges the results of shards, and puts a table of them into a page between its markers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml.playground.chaos import shard


def merged(folder: Path) -> list[dict[str, Any]]:
    """The results of all shards below `folder`, one for each seed, by seed."""
    found = {line["seed"]: line for file in sorted(folder.glob("*.jsonl")) for line in shard.read(file)}
    return [found[seed] for seed in sorted(found)]


def violated(results: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The violations of each seed that has some."""
    return {str(result["seed"]): result["violations"] for result in results if result["violations"]}


def violation_rows(violations: Mapping[str, Sequence[str]], name: str) -> list[str]:
    """A table of violations as lines of Markdown, below an empty one; none if there are no violations."""
    rows = [f"| {seed} | {'; '.join(texts)} |" for seed, texts in violations.items()]
    return ["", f"| {name} | violation |", "|---|---|", *rows] if rows else []


def with_table(page: Path, name: str, table: str) -> str:
    """The text of `page` with `table` between its markers `<!-- name: begin -->` and `<!-- name: end -->`."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    text = page.read_text(encoding="utf-8")
    return f"{text.split(begin)[0]}{begin}\n\n{table}\n\n{end}{text.split(end)[1]}"
