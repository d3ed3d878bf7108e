"""Says which inputs of a model are text in captured requests, and how they become numbers. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ml.model.category_levels import Levels


@dataclass(frozen=True, slots=True, kw_only=True)
class TextInputs:
    """The inputs that are text in requests, and how they become numbers.

    `iso_times` is the input whose values are ISO times, and the zone of those without an offset; they become seconds
    since 1970, as in the endpoint. `levels` has the levels of each category: a value becomes the place of its level.
    """

    iso_times: tuple[str, str] | None = None
    levels: Mapping[str, Levels] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.levels or (self.iso_times is not None and name == self.iso_times[0])


NO_TEXT = TextInputs()
