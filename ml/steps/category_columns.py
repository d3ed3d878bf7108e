"""Checks the text columns of the training rows that are inputs, and says which of their values got a coefficient.

A column is refused if it cannot be a category: stored as numbers, free text, or an id. Never changes which rows are
used, and never looks at labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ml.model import category_levels
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
    """The table with categories as `category_levels.text_of` gives them: the lake may have kept a column as it was.

    Raises:
        StepFailed: a value is too long.
    """
    for name in columns.categories:
        texts = pc.utf8_trim(table[name], characters=" ")
        long = pc.sum(pc.greater(pc.utf8_length(texts), category_levels.MAX_LENGTH)).as_py()
        if long:
            raise StepFailed(
                f"column {name}: {long} of {len(table)} values have more than {category_levels.MAX_LENGTH} characters: "
                f"it is free text, not a category; remove it from categories in data.yaml"
            )
        table = table.set_column(table.column_names.index(name), name, texts)
    return table


def check_values(rows: pa.Table, training: Training) -> None:
    """Checks that no category has more different values among `rows`, the training rows, than the settings allow.

    Raises:
        StepFailed: one has.
    """
    limit = training.categories.max_values
    for name in training.columns.categories:
        found = pc.count_distinct(rows[name]).as_py()
        if found > limit:
            raise StepFailed(
                f"column {name}: {found:,} different values in {len(rows):,} training rows, and categories.max_values "
                f"in model.yaml allows {limit:,}: it is an id or free text, not a category; remove it from categories "
                f"in data.yaml, or group its values before the import"
            )


def notes(training: Training, rows: pd.DataFrame) -> tuple[str, ...]:
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
