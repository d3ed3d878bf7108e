"""False alarms of the daily concept test in drift-free years, and its delay after an onset: counts of frauds alone.

Each trial draws a year of history and one of traffic: amounts and hours of the stand-in, frauds that come singly or in
bursts of three within an hour. History gives the fraud rates and the dispersion, as a drift reference does: the rates
of its second half, the dispersion of all of it. The model passes 5 % of the frauds, all of a burst or none. Labels are
known after the default scenario's delays, and the product's test is evaluated every day with news.
"""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml import config
from ml.model.drift import sequential_fraud_rate_test as rate_test
from ml.model.drift.dispersion import Dispersion
from ml.model.drift.reference import BAND_LEVELS
from ml.model.drift.sequential_fraud_rate_test import FraudRates
from ml.playground.template_state import FOLDER as SHIPPED
from ml.simulate import scenario
from ml.simulate.stand_in_data import FRAUDS, ROWS, StandIn
from tests.benchmarks.training_run import ROOT

YEARS, BLOCK = 200, 20
ROWS_A_DAY, DAYS, MISSED = 800, 365, 0.05
FORMS = ("singly", "bursts of three, amounts of their own", "bursts of three, one amount")
CHANGES = ((0.0, 0.0), (0.005, 0.5), (0.01, 0.5), (0.02, 0.5), (0.005, 0.2), (0.01, 0.2), (0.02, 0.2))
"""Shares of the amounts and of the rows among them that are relabelled; nothing in the first."""
ONSET = 180
_EPOCH = date(2026, 1, 1)
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Trial:
    """The result of a year: the day of the first alarm, None without one, and the largest evidence before it."""

    alarm: int | None
    log_evidence: float
    dispersion: float


@functools.cache
def _pool() -> tuple[Array, Array]:
    """Amounts of many legitimate rows and frauds of the stand-in."""
    source, random = StandIn.load(), np.random.default_rng(0)
    legitimate, frauds = (drawn(200_000, random)[:, source.amount] for drawn in (source.legitimate, source.frauds))
    return legitimate, frauds


def _frauds(
    random: np.random.Generator, rows: int, days: int, form: str
) -> tuple[NDArray[np.int64], Array, NDArray[np.bool_]]:
    """Days, amounts, and which of them the model passes."""
    together = 1 if form == FORMS[0] else 3
    bursts = int(random.poisson(rows * FRAUDS / ROWS / together))
    _, amounts = _pool()
    day, missed = random.integers(0, days, bursts), random.random(bursts) < MISSED
    amount = random.choice(amounts, (bursts, 1 if form == FORMS[2] else together))
    amount = np.broadcast_to(amount, (bursts, together)).ravel()
    return np.repeat(day, together), amount, np.repeat(missed, together)


def trial(seed: int, form: str, change: tuple[float, float]) -> Trial:
    """Plays a year; with a change, it begins on day ONSET, and only then."""
    random = np.random.default_rng([seed, FORMS.index(form), CHANGES.index(change)])
    legitimate, _ = _pool()
    edges = np.quantile(legitimate, BAND_LEVELS)
    strata = len(edges) + 2
    reference = _reference(random, form, edges)
    delays = scenario.load(scenario.DEFAULT).labels
    day, amount, missed = _frauds(random, ROWS_A_DAY * DAYS, DAYS, form)
    top, flipped = change
    if top:
        count = int(random.binomial(ROWS_A_DAY * (DAYS - ONSET), top * flipped))
        high = np.sort(legitimate)[-int(top * len(legitimate)) :]
        day = np.concatenate([day, random.integers(ONSET, DAYS, count)])
        amount = np.concatenate([amount, random.choice(high, count)])
        missed = np.concatenate([missed, np.ones(count, dtype=np.bool_)])
    known = day + 1 + np.floor(delays.delay_days(random.random(len(day)))).astype(np.int64)
    band = np.searchsorted(edges, amount, side="right")
    shares = np.diff([0.0, *BAND_LEVELS, 1.0])
    rows = np.column_stack([random.poisson(ROWS_A_DAY * shares, (DAYS, strata - 1)), np.full(DAYS, ROWS_A_DAY * 0.99)])
    frauds = np.zeros((DAYS, strata))
    alpha, largest = config.load_drift(SHIPPED).concept.alpha_daily, -np.inf
    days = [_EPOCH + timedelta(days=place) for place in range(DAYS)]
    for now in range(1, DAYS + 1):
        new = known == now
        np.add.at(frauds, (day[new], band[new]), 1)
        np.add.at(frauds, (day[new & missed], strata - 1), 1)
        # On a day without news every likelihood ratio falls, and the new start day adds less than 1 to a sum of which
        # 36,500 are needed.
        if not new.any() or (top and now <= ONSET):
            continue
        exposure = np.maximum(rows[:now], frauds[:now])
        found = rate_test.evaluate(reference, days[:now], frauds[:now], exposure, alpha=alpha)
        largest = max(largest, found.log_evidence)
        if found.fired:
            return Trial(now - (ONSET if top else 0), largest, reference.dispersion)
    return Trial(None, largest, reference.dispersion)


def _reference(random: np.random.Generator, form: str, edges: Array) -> FraudRates:
    """The rates and the dispersion of a year of history."""
    legitimate, _ = _pool()
    day, amount, missed = _frauds(random, ROWS, DAYS, form)
    times = np.concatenate([random.integers(0, DAYS, ROWS), day]).astype("datetime64[D]")
    amounts = np.concatenate([random.choice(legitimate, ROWS), amount])
    truth = np.repeat([0, 1], [ROWS, len(day)])
    ratio = Dispersion.of(times, amounts, truth, edges).ratio
    later, size = day >= DAYS // 2, len(edges) + 1
    bands = np.searchsorted(edges, amounts, side="right")
    counted = bands[times >= np.datetime64(DAYS // 2, "D")]
    frauds = np.bincount(bands[ROWS:][later], minlength=size)
    rows = np.bincount(counted, minlength=size)
    return FraudRates(
        names=(*(f"band {place}" for place in range(size)), rate_test.PASSED),
        rows=(*rows.tolist(), round(0.99 * len(counted))),
        frauds=(*frauds.tolist(), int(np.count_nonzero(later & missed))),
        dispersion=ratio,
    )


def make(folder: Path, *, shard: tuple[int, int], years: int = YEARS, delays: int = BLOCK) -> None:
    """Writes the files of a shard that are missing: blocks of drift-free years, and delays after each change."""
    blocks = [(form, change, start) for form in FORMS for change in CHANGES[1:] for start in range(0, delays, BLOCK)]
    blocks += [(form, CHANGES[0], start) for start in range(0, years, BLOCK) for form in FORMS]
    for form, change, start in blocks[shard[0] :: shard[1]]:
        path = folder / f"{FORMS.index(form)}-{change[0]:g}-{change[1]:g}-{start:03d}.json"
        if path.is_file() and json.loads(path.read_text())["code"] == _code():
            continue
        trials = [trial(seed, form, change) for seed in range(start, start + BLOCK)]
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document(form, change, trials), indent=1) + "\n")
        print(path.name, flush=True)


def document(form: str, change: tuple[float, float], trials: list[Trial]) -> dict[str, Any]:
    """The content of a file."""
    return {
        "form": form,
        "change": list(change),
        "code": _code(),
        "alarms": [each.alarm for each in trials],
        "log_evidence": [round(each.log_evidence, 3) for each in trials],
        "dispersion": [round(each.dispersion, 3) for each in trials],
    }


@functools.cache
def _code() -> str:
    """Identifies the code and the limit that the trials depend on."""
    product = (ROOT / f"ml/model/drift/{name}.py" for name in ("sequential_fraud_rate_test", "dispersion"))
    files = (Path(__file__), *product)
    alpha = config.load_drift(SHIPPED).concept.alpha_daily
    return hashlib.sha256(b"".join(path.read_bytes() for path in files) + str(alpha).encode()).hexdigest()[:16]
