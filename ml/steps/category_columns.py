"""Checks the text columns of the training rows that are inputs, and says which of their values got a coefficient.

A column is refused if it cannot be a category: stored as numbers, free text, or an id. Never changes which rows are
used, and never looks at labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from ml.model import category_levels
from ml.model.stored_rows import Rows
from ml.model.training_settings import Columns, Training
from ml.steps.job_runner import StepFailed


def check_types(schemas: Mapping[str, pa.Schema], columns: Columns) -> None:
    """Checks that every file of the lake stores the categories as text.

    Args:
        schemas: by the file's name.

    Raises:
        StepFailed: one does not.
    """
    for file, schema in schemas.items():
        for name in columns.categories:
            kind = schema.field(name).type
            if not pa.types.is_string(kind):
                raise StepFailed(
                    f"{file}: column {name} is stored as {kind}, and data.yaml names it in categories, which are "
                    f"text: import the data again"
                )


def trimmed(table: pa.Table, columns: Columns) -> pa.Table:
    """The table with categories as `category_levels.text_of` gives them: the lake may have kept a column as it was."""
    for name in columns.categories:
        texts = pc.utf8_trim(table[name], characters=" ")
        table = table.set_column(table.column_names.index(name), name, texts)
    return table


def too_long(table: pa.Table, columns: Columns) -> dict[str, int]:
    """The number of texts of each category that are too long, where there are some; `table` is trimmed."""
    lengths = {name: pc.utf8_length(table[name]) for name in columns.categories}
    counts = {
        name: pc.sum(pc.greater(each, category_levels.MAX_LENGTH), min_count=0).as_py()
        for name, each in lengths.items()
    }
    return {name: count for name, count in counts.items() if count}


def refuse_long(counts: Mapping[str, int], rows: int) -> None:
    """Raises StepFailed if `counts` has a number of texts that are too long, by the category's name, among `rows`."""
    for name, long in counts.items():
        raise StepFailed(
            f"column {name}: {long} of {rows} values have more than {category_levels.MAX_LENGTH} characters: it is "
            f"free text, not a category; remove it from categories in data.yaml"
        )


class DistinctValues:
    """Collects the different values of the categories among the training rows."""

    def __init__(self, training: Training) -> None:
        self._training, self._rows = training, 0
        empty = pa.chunked_array([], pa.string())
        self._values: dict[str, pa.ChunkedArray] = dict.fromkeys(training.columns.categories, empty)

    def add(self, rows: pa.Table) -> None:
        """Adds the values of some training rows."""
        self.add_values({name: pc.unique(rows[name]) for name in self._values}, len(rows))

    def add_values(self, values: Mapping[str, pa.Array], rows: int) -> None:
        """The same from the different values of so many rows."""
        self._rows += rows
        for name, known in self._values.items():
            self._values[name] = pa.chunked_array(
                [pc.unique(pa.chunked_array([*known.chunks, values[name]], pa.string()))]
            )

    def check(self) -> None:
        """Checks that no category has more different values than the settings allow.

        Raises:
            StepFailed: one has.
        """
        limit = self._training.categories.max_values
        for name, values in self._values.items():
            if len(values) > limit:
                raise StepFailed(
                    f"column {name}: {len(values):,} different values in {self._rows:,} training rows, and "
                    f"categories.max_values in model.yaml allows {limit:,}: it is an id or free text, not a category; "
                    f"remove it from categories in data.yaml, or group its values before the import"
                )


def notes(training: Training, rows: Rows) -> tuple[str, ...]:
    """One sentence for each category: its levels among the training `rows`, and what is left to the common one."""
    return notes_of_counts(training, {name: Counter(rows[name].tolist()) for name in training.columns.categories})


def notes_of_counts(training: Training, counts: Mapping[str, Counter[str]]) -> tuple[str, ...]:
    """The same from the number of training rows of each value."""
    made, least = [], training.categories.min_rows
    for name in training.columns.categories:
        rest = [rows for rows in counts[name].values() if rows < least]
        made.append(
            f"Category {name}: {len(counts[name]) - len(rest)} values have {least:,} training rows or more; "
            f"{len(rest):,} rarer values in {sum(rest):,} rows share one coefficient, as do values that training has "
            f"not seen."
        )
    return tuple(made)
