"""Schema of model-config/training/data.yaml: the names of a transaction's columns, mapped once for all users."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from ml.config.yaml_models import AsTuple, Column, File, Text
from ml.model import time_units
from ml.model.scoring_responses import EVENT_ID
from ml.model.training_settings import Columns, TimeColumn

_LAKE_NAMES = {"event_time": "the lake", "label": "the training rows", "known_at": "the labels"}
Channel = Literal["analyst", "chargeback"]


def _printable(name: str) -> str:
    if not name.isprintable() or name != name.strip():
        raise ValueError("must be printable characters, without spaces around them")
    return name


FileColumn = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_printable)]
"""The name of a column in files, or a value of one: other than a `Column`, it is not a name in the product."""
_Names = Annotated[tuple[Column, ...], Field(max_length=512), AsTuple]


class _Moment(File):
    """The zone of a time column; a subclass has its name and its unit."""

    unit: str
    zone: Text

    @model_validator(mode="after")
    def _known_zone(self) -> Self:
        if not time_units.zone_exists(self.zone):
            raise ValueError(f"must have a zone of the IANA database, as UTC or Europe/Berlin (got {self.zone!r})")
        if self.unit != time_units.ISO and self.zone != time_units.UTC_ZONE:
            raise ValueError(
                f"must have zone UTC with the unit {self.unit} (got {self.zone}): only iso times can be local times"
            )
        return self


class _Time(_Moment):
    column: Column
    unit: Literal["iso", "epoch_seconds", "epoch_milliseconds", "seconds_since_start"]


class _KnownAt(_Moment):
    column: FileColumn
    unit: Literal["iso", "epoch_seconds", "epoch_milliseconds"]


class _Channel(File):
    column: FileColumn | None
    values: dict[FileColumn, Channel]
    default: Channel

    @model_validator(mode="after")
    def _values_of_column(self) -> _Channel:
        if (self.column is None) == bool(self.values):
            raise ValueError("must have values if it has a column, and {} with column null")
        return self


class LabelColumns(File):
    """The columns of label files: which is what.

    A file needs no column `channel.column`: its labels then have the channel `channel.default`.
    """

    event_id: FileColumn
    label: FileColumn
    known_at: _KnownAt
    channel: _Channel

    @property
    def required(self) -> tuple[str, ...]:
        """The columns that every file must have."""
        return (self.event_id, self.label, self.known_at.column)

    @model_validator(mode="after")
    def _distinct(self) -> LabelColumns:
        names = [*self.required, *([] if self.channel.column is None else [self.channel.column])]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"must name each column once (twice: {', '.join(twice)})")
        return self


LABEL_COLUMNS = LabelColumns(
    event_id="event_id",
    label="label",
    known_at=_KnownAt(column="known_at", unit="iso", zone="UTC"),
    channel=_Channel(column="channel", values={"analyst": "analyst", "chargeback": "chargeback"}, default="chargeback"),
)
"""Those of a data.yaml without `labels`."""


class DataFile(File):
    """model-config/training/data.yaml: which column of a transaction is what."""

    label: Column
    amount: Column | None
    time: _Time | None
    event_id: Column | None
    entity: Column | None
    features: Annotated[tuple[Column, ...], Field(min_length=1, max_length=512), AsTuple]
    categories: _Names
    keep: _Names
    renamed: dict[FileColumn, Column] = Field(default_factory=dict, max_length=512)
    """Columns that files of transactions call otherwise: their name in files, and that in this file."""
    labels: LabelColumns = LABEL_COLUMNS

    @model_validator(mode="after")
    def _consistent(self) -> DataFile:
        clock = self.time.column if self.time is not None else None
        single = [name for name in (self.label, self.amount, clock, self.event_id, self.entity) if name is not None]
        names = [*single, *self.features, *self.categories, *self.keep]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"must name each column once (twice: {', '.join(twice)})")
        stored = (clock, self.amount, self.entity, *self.features, *self.categories, *self.keep)
        inside = [name for name in stored if name is not None]
        taken = [name for name in inside if name in _LAKE_NAMES or name == EVENT_ID]
        if taken:
            whose = _LAKE_NAMES.get(taken[0], "the lake")
            raise ValueError(
                f"must not use the name {taken[0]}, a column of {whose} itself: choose another; if files have this "
                f"one, map it in renamed"
            )
        unknown = [name for name in self.renamed.values() if name not in {*names, EVENT_ID, "event_time"}]
        if unknown:
            raise ValueError(f"must rename to columns that it names (renamed has {unknown[0]}, which no other key has)")
        targets = list(self.renamed.values())
        double = sorted({name for name in targets if targets.count(name) > 1})
        if double:
            raise ValueError(f"must rename one column to each name (renamed has {', '.join(double)} more than once)")
        return self

    def to_columns(self) -> Columns:
        """The columns as the pure code takes them."""
        document: dict[str, Any] = self.model_dump(exclude={"renamed", "labels"})
        time = TimeColumn(**document["time"]) if self.time is not None else None
        return Columns(**document | {"time": time})


def moved(data: Any) -> str:
    """What to do with the former section `data` of model.yaml."""
    known = data if isinstance(data, dict) else {}
    features = known.get("features")
    listed = ", ".join(map(str, features)) if isinstance(features, list) else "…"
    time = known.get("time")
    return (
        "must have no section data: the columns are in model-config/training/data.yaml now. Delete the section and "
        f"write there: {{label: {known.get('label', '…')}, amount: {known.get('amount', '…')}, time: "
        + (f"{{column: {time}, unit: seconds_since_start, zone: UTC}}" if time else "null")
        + f", event_id: null, entity: null, features: [{listed}], categories: [], keep: []}}"
    )
