"""Computes docs/cost.md from the figures of docs/cost.yaml: what a month in an account costs.

`make docs` writes the page. Asks no price list: a price without a source that has an address and a date is
unknown, stays out of the sums and is named beside them.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[1]
FIGURES = Path("docs/cost.yaml")
PAGE = Path("docs/cost.md")
_ADDRESS = re.compile(
    r"https://(?!github\.com/)[a-z0-9-]+(\.[a-z0-9-]+)+/\S*|https://github\.com/[^/\s]+/[^/\s]+/blob/[0-9a-f]{40}/\S+"
)
"""A public address. A branch's file changes, so a repository's file is cited at a commit."""
_PAGE = """# What a month costs

<!-- Computed from docs/cost.yaml by docs/cost.py: run `make docs`. -->

**About {total:.0f} USD a month** in us-east-1 for the files as committed, {share:.0%} of it for one ml.m5.large that
serves around the clock. Training, drift checks, logs and alarms are the rest. Prices are list prices on demand, read
between {first} and {last}, without free tiers, taxes and GitHub. A price without a public, dated source is
"unknown" and not in the sums. None of this has been compared with a bill: replace the assumptions in
`docs/cost.yaml` with your own figures, take today's prices from AWS, and run `make docs`.

## The bill

Each line is units × price. The names are those of the table of quantities.

{bill}

Sum of the known lines: **{total:.2f} USD**. {unknown} The volumes of endpoint and jobs have unknown prices too.
`Encryption=customer-key` adds {key:.2f} USD for a key and its requests.

GitHub's [bill](https://github.com/pricing) is not counted: the plan, and minutes of Actions in a private repository.
[What each plan protects](first-account.md#what-your-plan-of-github-protects).

## Endpoint choices

{choices}

The serverless endpoint costs more than ml.m5.large from about {break_even:.0f} million requests a month on, at
{milliseconds:.0f} ms each. SageMaker's serverless endpoints have no data capture and no network isolation, so drift
could not be checked; fraudops deploys instances only, and the line is for comparison
([serving.md](serving.md#why-no-serverless-endpoint)). Type and number of instances are
one line in `model-config/serving/production.yaml`; two instances survive the loss of one zone and cost twice as much.
With `autoscaling` the endpoint costs between `min` and `max` times one instance ({instance:.2f} USD a month each), and
{alarms:.2f} USD for the two alarms of its policy.

## Serverless against one instance

By requests a month, with {kilobytes:g} kB in and out for each and without cold starts. One ml.m5.large costs the same
for any number that it can take; what else grows with 10 million transactions a month is in [scale.md](scale.md).

{serverless}

## Quantities

{quantities}

## Prices

{prices}
"""


@dataclass(frozen=True, kw_only=True)
class Price:
    """A list price in USD; `usd`, `address` and `date` are None where none can be cited.

    `source` says who publishes the price, `address` is the page or file where it can be read.
    """

    what: str
    per: str
    usd: float | None
    source: str
    address: str | None
    date: datetime.date | None


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """What a month uses: measured in this project, or assumed."""

    value: float
    unit: str
    measured: bool
    source: str


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The file's content."""

    prices: Mapping[str, Price]
    usage: Mapping[str, Quantity]

    def __getitem__(self, name: str) -> float:
        """The value of a quantity."""
        return self.usage[name].value


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the bill: units × price."""

    price: Price
    units: float
    formula: str

    @property
    def usd(self) -> float | None:
        """USD a month; None if the price is unknown."""
        return None if self.price.usd is None else self.units * self.price.usd


def read(text: str) -> Figures:
    """The figures in `text`, YAML of the form of docs/cost.yaml.

    Raises:
        ValueError: a figure has no source, is negative, or has a price without a date or a public address; the message
            names it.
    """
    document = yaml.safe_load(text)
    prices = {name: _price(name, entry) for name, entry in document["prices"].items()}
    usage = {name: _quantity(name, entry) for name, entry in document["usage"].items()}
    return Figures(prices=prices, usage=usage)


def _made(kind: Callable[..., T], name: str, entry: Mapping[str, Any]) -> T:
    try:
        return kind(**entry)
    except TypeError as error:  # a field is missing, or has another name
        raise ValueError(f"{FIGURES}: {name}: {error}") from error


def _price(name: str, entry: Mapping[str, Any]) -> Price:
    price = _made(Price, f"prices.{name}", entry)
    if not price.source:
        raise ValueError(f"{FIGURES}: prices.{name}: needs a source")
    if (price.usd is None) is not (price.date is None):
        raise ValueError(f"{FIGURES}: prices.{name}: a price needs its date, and an unknown price has none")
    if (price.usd is None) is not (price.address is None):
        raise ValueError(
            f"{FIGURES}: prices.{name}: a price needs the address of its source, and an unknown price has none; "
            f"without an address set usd, address and date to null"
        )
    if price.address is not None and not _ADDRESS.fullmatch(price.address):
        raise ValueError(
            f"{FIGURES}: prices.{name}.address: must be an https address without spaces, on github.com with a commit: "
            f"https://github.com/OWNER/NAME/blob/COMMIT/PATH (got {price.address})"
        )
    if price.usd is not None and price.usd <= 0:
        raise ValueError(f"{FIGURES}: prices.{name}.usd: must be above 0 (got {price.usd})")
    return price


def _quantity(name: str, entry: Mapping[str, Any]) -> Quantity:
    quantity = _made(Quantity, f"usage.{name}", entry)
    if not quantity.source:
        raise ValueError(f"{FIGURES}: usage.{name}: needs a source")
    if quantity.value < 0:
        raise ValueError(f"{FIGURES}: usage.{name}.value: must not be negative (got {quantity.value})")
    return quantity


def endpoint(figures: Figures, price: str) -> Line:
    """The endpoint's instances for a whole month."""
    units = figures["instances"] * figures["hours"]
    return Line(price=figures.prices[price], units=units, formula="instances × hours")


def serverless(figures: Figures) -> Line:
    """A serverless endpoint, without cold starts."""
    units = figures["requests"] * figures["request_seconds"]
    return Line(price=figures.prices["serverless_3gb"], units=units, formula="requests × request_seconds")


def rest(figures: Figures) -> list[Line]:
    """Everything but the endpoint."""
    jobs = figures["trainings"] * (
        2 * figures["start_seconds"] + figures["prepare_seconds"] + figures["evaluate_seconds"]
    )
    train = figures["trainings"] * (figures["start_seconds"] + figures["train_seconds"])
    wanted: list[tuple[str, float, str]] = [
        (
            "processing_m5_xlarge",
            jobs / 3600,
            "trainings × (2 × start_seconds + prepare_seconds + evaluate_seconds) / 3,600",
        ),
        ("training_m5_xlarge", train / 3600, "trainings × (start_seconds + train_seconds) / 3,600"),
        ("storage", figures["lake_gb"], "lake_gb"),
        ("put", figures["puts"] / 1000, "puts / 1,000"),
        ("get", figures["gets"] / 1000, "gets / 1,000"),
        ("log_ingestion", figures["log_gb"], "log_gb"),
        ("alarm", figures["alarms"], "alarms"),
        ("metric", figures["metrics"] * figures["metric_hours"] / figures["hours"], "metrics × metric_hours / hours"),
        ("dashboard", 1, "1"),
        ("function_time", figures["function_gb_seconds"], "function_gb_seconds"),
        ("signing_key", 1, "1"),
    ]
    return [Line(price=figures.prices[name], units=units, formula=formula) for name, units, formula in wanted]


def key(figures: Figures) -> list[Line]:
    """What a key of the stack adds."""
    return [
        Line(price=figures.prices["key"], units=1, formula="1"),
        Line(
            price=figures.prices["key_requests"],
            units=figures["key_requests"] / 10_000,
            formula="key_requests / 10,000",
        ),
    ]


def total(lines: Sequence[Line]) -> float:
    """The sum of the known lines, USD a month."""
    return sum(line.usd for line in lines if line.usd is not None)


def break_even_requests(figures: Figures) -> float:
    """Requests a month from which the serverless endpoint costs more than the instances of ml.m5.large.

    Raises:
        ValueError: one of the prices is unknown.
    """
    instance = endpoint(figures, "host_m5_large").usd
    if instance is None:
        raise ValueError(f"{FIGURES}: prices.host_m5_large needs a price to be compared")
    return instance / serverless_month(figures, 1)


def serverless_month(figures: Figures, requests: float) -> float:
    """USD a month of a serverless endpoint with 3 GB: processing, and data in and out.

    Raises:
        ValueError: one of the two prices is unknown.
    """
    second, gigabyte = figures.prices["serverless_3gb"].usd, figures.prices["serverless_data"].usd
    if second is None or gigabyte is None:
        raise ValueError(f"{FIGURES}: prices.serverless_3gb and prices.serverless_data need prices to be compared")
    return requests * (figures["request_seconds"] * second + figures["request_kb"] / 1e6 * gigabyte)


def _serverless_rows(figures: Figures) -> list[list[str]]:
    instance = endpoint(figures, "host_m5_large").usd
    return [
        [f"{requests:,}", f"{requests / (figures['hours'] * 3600):,.2f}", f"{usd:,.2f}", _usd(instance)]
        for requests in (10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
        for usd in (serverless_month(figures, requests),)
    ]


def page(figures: Figures) -> str:
    """docs/cost.md."""
    others, instance = rest(figures), endpoint(figures, "host_m5_large")
    month = [instance, *others]
    dated = [price.date for price in figures.prices.values() if price.date is not None]
    return _PAGE.format(
        total=total(month),
        share=(instance.usd or 0.0) / total(month),
        first=min(dated),
        last=max(dated),
        bill=_table(["item", "units a month", "=", "USD per unit", "USD a month"], [_bill(line) for line in month]),
        unknown=_unknown(month),
        key=total(key(figures)),
        choices=_table(["endpoint", "USD a month", "all in all", "what it means"], _choices(figures, total(others))),
        instance=endpoint(figures, "host_m5_large").usd,
        alarms=2 * (figures.prices["alarm"].usd or 0.0),
        break_even=break_even_requests(figures) / 1e6,
        milliseconds=figures["request_seconds"] * 1000,
        kilobytes=figures["request_kb"],
        serverless=_table(
            ["requests a month", "a second", "serverless, USD", "one ml.m5.large, USD"], _serverless_rows(figures)
        ),
        quantities=_table(
            ["name", "value", "unit", "", "source"],
            [_quantity_row(name, item) for name, item in figures.usage.items()],
        ),
        prices=_table(["item", "USD", "per", "date", "source"], [_price_row(item) for item in figures.prices.values()]),
    )


def _choices(figures: Figures, others: float) -> list[list[str]]:
    rows = []
    for name, meaning in (
        ("host_m5_large", "as committed; two cores, 8 GB"),
        ("host_c5_large", "two cores, 4 GB; no burst credits"),
        ("host_t2_medium", "two cores, 4 GB; full speed only as long as burst credits last"),
    ):
        usd = endpoint(figures, name).usd
        rows.append(_choice(figures.prices[name].what, usd, others, meaning))
    data = figures.prices["serverless_data"]
    per_gb = "unknown" if data.usd is None else f"{data.usd} USD per {data.per}"
    cold = f"without data in and out ({per_gb}) and cold starts; no data capture, so no drift checks"
    rows.append(_choice(figures.prices["serverless_3gb"].what, serverless(figures).usd, others, cold))
    rows.append(_choice("off", 0.0, others, "no endpoint: `fraudops score` scores files with the same model"))
    return rows


def _choice(name: str, usd: float | None, others: float, meaning: str) -> list[str]:
    both = "unknown" if usd is None else f"{usd + others:.2f}"
    return [name, _usd(usd), both, meaning]


def _bill(line: Line) -> list[str]:
    price = "unknown" if line.price.usd is None else f"{line.price.usd:.10f}".rstrip("0").rstrip(".")
    return [line.price.what, f"{line.units:,.3f}".rstrip("0").rstrip("."), f"`{line.formula}`", price, _usd(line.usd)]


def _usd(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"


def _unknown(lines: Sequence[Line]) -> str:
    names = [f"{line.price.what} ({line.units:.2f} × {line.price.per})" for line in lines if line.usd is None]
    return f"Unknown: {', '.join(names)}." if names else "No line is unknown."


def _quantity_row(name: str, item: Quantity) -> list[str]:
    return [f"`{name}`", f"{item.value:,g}", item.unit, "measured" if item.measured else "assumed", item.source]


def _price_row(item: Price) -> list[str]:
    usd = "unknown" if item.usd is None else f"{item.usd:.10f}".rstrip("0").rstrip(".")
    source = item.source if item.address is None else f"[{item.source}]({item.address})"
    return [item.what, usd, item.per, str(item.date or ""), source]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, ["---"] * len(header), *rows])


def write() -> None:
    """Writes the page."""
    (ROOT / PAGE).write_text(page(read((ROOT / FIGURES).read_text("utf-8"))), "utf-8")


if __name__ == "__main__":
    write()
