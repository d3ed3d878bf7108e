"""Counts the different values of text columns during an import, and warns of a column that training will refuse."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from ml.model.training_settings import Columns


@dataclass(kw_only=True)
class CategoryValues:
    """The values of each category in the files of an import; no more of them are kept than training allows.

    `max_values` is that of categories in model.yaml.
    """

    columns: Columns
    max_values: int
    _values: dict[str, set[str]] = field(default_factory=dict)

    def add(self, where: str, frame: pd.DataFrame) -> list[str]:
        """Adds the rows of the file `where`; returns a warning for each category that has too many values with it."""
        warnings = []
        for name in self.columns.categories:
            known = self._values.setdefault(name, set())
            if len(known) > self.max_values:
                continue
            for value in frame[name].unique().tolist():
                known.add(value)
                if len(known) > self.max_values:
                    warnings.append(self._warning(where, name, value))
                    break
        return warnings

    def _warning(self, where: str, name: str, value: str) -> str:
        return (
            f"{where}: column {name}: {value!r} is different value {self.max_values + 1:,} of this import, and "
            f"categories.max_values in model-config/training/model.yaml allows training {self.max_values:,}. An id, as "
            f"of a card, is no category: name it as entity or in keep of data.yaml; or group its values before the "
            f"import"
        )
