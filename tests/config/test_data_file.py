"""data.yaml maps the columns of an adopter once, strictly."""

from __future__ import annotations

import pytest

from ml import config
from ml.aws.labels import store
from ml.errors import ConfigError
from ml.model.training_settings import TimeColumn
from ml.playground.template_state import FOLDER as SHIPPED
from tests.harness.columns import ulb_columns

ULB = """label: Class
amount: Amount
time: {column: Time, unit: seconds_since_start, zone: UTC}
event_id: null
entity: null
features: [V1, V2]
categories: []
keep: []
"""
MODEL_BEFORE = "data:\n  label: Class\n  time: Time\n  amount: Amount\n  features: [V1, V2]\n"


def test_columns_are_those_of_the_file() -> None:
    """The ULB layout, and a bank's own names with an id, an entity and a column to keep."""
    assert config.parse(ULB, config.DATA, config.DataFile).to_columns() == ulb_columns(("V1", "V2"))
    text = ULB.replace("seconds_since_start", "iso").replace("zone: UTC", "zone: Europe/Berlin")
    text = text.replace("event_id: null", "event_id: tx").replace("entity: null", "entity: card")
    found = config.parse(text.replace("keep: []", "keep: [branch]"), config.DATA, config.DataFile).to_columns()
    assert found.time == TimeColumn(column="Time", unit="iso", zone="Europe/Berlin")
    assert (found.event_id, found.kept, found.inputs) == ("tx", ("card", "branch"), ("Time", "V1", "V2", "Amount"))


def test_categories_are_the_last_inputs() -> None:
    """Text columns follow the numbers in a request, and the lake keeps none of them apart."""
    found = config.parse(ULB.replace("categories: []", "categories: [shop, country]"), config.DATA, config.DataFile)
    columns = found.to_columns()
    assert columns.inputs == ("Time", "V1", "V2", "Amount", "shop", "country")
    assert (columns.numbers, columns.categories, columns.kept) == (columns.inputs[:4], ("shop", "country"), ())


def test_time_and_amount_are_optional() -> None:
    """They are no inputs then, and the columns say what is left out."""
    text = ULB.replace("amount: Amount", "amount: null").replace(
        "time: {column: Time, unit: seconds_since_start, zone: UTC}", "time: null"
    )
    found = config.parse(text, config.DATA, config.DataFile).to_columns()
    assert found.inputs == ("V1", "V2")
    assert ["names no time column" in found.left_out()[0], "names no amount" in found.left_out()[1]] == [True, True]
    assert ulb_columns(("V1",)).left_out() == ()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("amount: Amount", "amount: V1", "must name each column once (twice: V1)"),
        ("keep: []", "keep: [Class]", "must name each column once (twice: Class)"),
        ("keep: []", "keep: [Class]\nkept: []", "kept is not a known key"),
        ("keep: []\n", "", "keep is missing"),
        ("features: [V1, V2]", "features: []", "features "),
        ("categories: []", "categories: [V1]", "must name each column once (twice: V1)"),
        ("categories: []", "categories: [label]", "must not use the name label, a column of the training rows"),
        (
            "unit: seconds_since_start",
            "unit: minutes",
            "time.unit must be 'iso', 'epoch_seconds', ",
        ),
        (
            "zone: UTC",
            "zone: Berlin",
            "time must have a zone of the IANA database, as UTC or Europe/Berlin (got",
        ),
        ("zone: UTC", "zone: Europe/Berlin", "time must have zone UTC with the unit seconds_since_start"),
        ("column: Time", "column: event_time", "must not use the name event_time, a column of the lake itself"),
        ("features: [V1, V2]", "features: [V1, label]", "must not use the name label, a column of the training rows"),
        ("keep: []", "keep: [event_id]", "must not use the name event_id, a column of the lake itself"),
        ("label: Class", "label: null", "label must be text"),
        (
            "features: [V1, V2]",
            "features: [V1, Transaction Amount]",
            "features.1 must be letters from A to Z, digits, _, . and -, and begin with a letter or _, because "
            "requests and metrics have the name too (CloudWatch takes ASCII only); if files have another name, map it "
            "to one of these in renamed, as renamed: {Name in files: name} (got 'Transaction",
        ),
    ],
)
def test_invalid_file_is_explained(old: str, new: str, message: str) -> None:
    """The error names the file, the field, what was expected and what was found."""
    assert old in ULB
    with pytest.raises(ConfigError) as caught:
        config.parse(ULB.replace(old, new, 1), config.DATA, config.DataFile)
    assert message in str(caught.value)
    assert str(caught.value).startswith("model-config/training/data.yaml:")


def test_invalid_names_are_the_only_problem_of_their_list() -> None:
    """A list of names of which none is valid is not called empty as well."""
    with pytest.raises(config.FileInvalid) as caught:
        config.parse(ULB.replace("[V1, V2]", "[Größe, two words]"), config.DATA, config.DataFile)
    assert [message.split()[1] for _, message in caught.value.problems] == ["features.0", "features.1"]


def test_files_may_have_other_names() -> None:
    """Any printable ones; they are no part of the columns that training gets."""
    text = ULB + 'renamed: {"Betrag (EUR)": Amount, Größe: V1, Time: event_time, Nr.: event_id}\n'
    found = config.parse(text, config.DATA, config.DataFile)
    assert found.to_columns() == ulb_columns(("V1", "V2"))
    assert found.renamed == {"Betrag (EUR)": "Amount", "Größe": "V1", "Time": "event_time", "Nr.": "event_id"}


@pytest.mark.parametrize(
    ("renamed", "message"),
    [
        ("{Größe: V3}", "must rename to columns that it names (renamed has V3, which no other key has)"),
        ("{Größe: V1, Laenge: V1}", "must rename one column to each name (renamed has V1 more than once)"),
        ("{Größe: Große Größe}", "renamed.Größe must be letters from A to Z, digits"),
        ("{' V': V1}", "must be printable characters, without spaces around them"),
        ("[V1]", "renamed must be a mapping"),
    ],
)
def test_invalid_renaming_is_explained(renamed: str, message: str) -> None:
    """The error names the field, what was expected and what was found."""
    with pytest.raises(ConfigError) as caught:
        config.parse(f"{ULB}renamed: {renamed}\n", config.DATA, config.DataFile)
    assert message in str(caught.value)


LABELS = """labels:
  event_id: Buchung
  label: Betrug?
  known_at: {column: gemeldet am, unit: epoch_seconds, zone: UTC}
  channel: {column: Quelle, values: {Abteilung 7: analyst}, default: analyst}
"""


def test_columns_of_label_files_are_optional_and_no_names_of_the_product() -> None:
    """Without them they are those of the lake; they are no part of the settings that training gets."""
    found = config.parse(ULB + LABELS, config.DATA, config.DataFile)
    assert found.to_columns() == config.parse(ULB, config.DATA, config.DataFile).to_columns()
    assert found.labels.required == ("Buchung", "Betrug?", "gemeldet am")
    without = config.parse(ULB, config.DATA, config.DataFile).labels
    assert without == config.LABEL_COLUMNS
    assert (without.required, without.channel.column) == (tuple(store.SCHEMA.names), "channel")
    assert tuple(without.channel.values.values()) == store.CHANNELS


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  event_id: Buchung\n", "", "labels.event_id is missing"),
        ("label: Betrug?", "label: Buchung", "labels must name each column once (twice: Buchung)"),
        ("label: Betrug?", "label: 'Betrug '", "labels.label must be printable characters, without spaces around them"),
        ("epoch_seconds", "seconds_since_start", "labels.known_at.unit must be 'iso', 'epoch_seconds'"),
        ("zone: UTC", "zone: Europe/Berlin", "labels.known_at must have zone UTC with the unit epoch_seconds"),
        ("7: analyst", "7: phone", "labels.channel.values.Abteilung 7 must be 'analyst' or 'chargeback' (got 'phone')"),
        ("default: analyst", "default: null", "labels.channel.default must be 'analyst' or 'chargeback'"),
        ("column: Quelle", "column: null", "labels.channel must have values if it has a column, and {} with column"),
        ("default: analyst}", "default: analyst}\n  extra: x", "labels.extra is not a known key"),
    ],
)
def test_invalid_columns_of_label_files_are_explained(old: str, new: str, message: str) -> None:
    """The error names the field, what was expected and what was found."""
    assert old in LABELS
    with pytest.raises(ConfigError) as caught:
        config.parse(ULB + LABELS.replace(old, new, 1), config.DATA, config.DataFile)
    assert message in str(caught.value)


def test_former_section_of_model_yaml_says_where_it_went() -> None:
    """The message has the new file's content, made from the old section, which the loader takes."""
    text = MODEL_BEFORE + (SHIPPED / config.MODEL).read_text()
    with pytest.raises(ConfigError, match=r"model\.yaml: must have no section data.*data\.yaml now") as caught:
        config.parse(text, config.MODEL, config.ModelFile)
    written = str(caught.value).partition("write there: {")[2].removesuffix("}")
    assert config.parse(f"{{{written}}}", config.DATA, config.DataFile).to_columns() == ulb_columns(("V1", "V2"))


def test_min_cost_needs_an_amount() -> None:
    """The error names both files and the policies that do without."""
    texts = {path: (SHIPPED / path).read_text() for path in config.SETTINGS} | {config.DATA: ULB}
    policy = "policy: max_recall_at_fpr, value: 0.0075"
    assert policy in texts[config.MODEL]
    texts[config.MODEL] = texts[config.MODEL].replace(policy, "policy: min_cost, value: 5, loss_share: 1")
    assert config.parse_settings(texts.__getitem__).training.threshold.policy == "min_cost"
    texts[config.DATA] = ULB.replace("amount: Amount", "amount: null")
    with pytest.raises(ConfigError, match=r"model\.yaml: threshold.policy min_cost .*data\.yaml names no amount"):
        config.parse_settings(texts.__getitem__)
