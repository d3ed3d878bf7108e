"""Makes the data of a bank that adopts the template: Parquet, two files a day, names and types of its own.

Run as a script, it writes them at full size:

    python -m tests.harness.bank_case --rows 400000 --days 200 --out build/bank
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

START = datetime(2026, 1, 1, tzinfo=UTC)
FEATURES = tuple(f"feat_{letter}" for letter in "abcdefgh")
CATEGORIES = ("grocery", "travel", "fuel", "online", "cash")
LEGITIMATE_SHARES, FRAUD_SHARES = (0.45, 0.1, 0.2, 0.2, 0.05), (0.1, 0.1, 0.1, 0.5, 0.2)
DATA_YAML = f"""# The bank's columns; everything else of model-config/ stays as it is in the template.
label: is_fraud
amount: txn_amount
time: {{column: epoch_seconds, unit: epoch_seconds, zone: UTC}}
event_id: null
entity: card_id
features: [{", ".join(FEATURES)}]
categories: [merchant_category]
keep: []
"""
_FILES_A_DAY = 2


@dataclass(frozen=True, kw_only=True)
class BankCase:
    """The size of the case: `rows` over `days` from `start` on, `fraud_share` of them frauds, drawn with `seed`."""

    rows: int = 400_000
    days: int = 200
    fraud_share: float = 0.005
    seed: int = 11
    start: datetime = START

    def write(self, folder: Path) -> list[Path]:
        """Writes `folder`/day=<YYYY-MM-DD>/part-<0 or 1>.parquet for each half of a day; returns the files in order.

        The order of columns differs from file to file, and amounts are decimals.
        """
        random = np.random.default_rng(self.seed)
        files = self.days * _FILES_A_DAY
        sizes = np.full(files, self.rows // files)
        sizes[: self.rows % files] += 1
        written = []
        for place, size in enumerate(sizes.tolist()):
            day, half = divmod(place, _FILES_A_DAY)
            first = self.start + timedelta(days=day, hours=12 * half)
            path = folder / f"day={first:%Y-%m-%d}/part-{half}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            table = self._table(random, first, size)
            order = random.permutation(len(table.column_names)).tolist()
            pq.write_table(table.select([table.column_names[at] for at in order]), path)
            written.append(path)
        return written

    def _table(self, random: np.random.Generator, first: datetime, rows: int) -> pa.Table:
        """Half a day: frauds have other means in three features, higher amounts and other merchant categories."""
        fraud = random.random(rows) < self.fraud_share
        seconds = np.sort(random.integers(0, 12 * 3_600, rows))
        columns = {name: random.normal(size=rows) for name in FEATURES}
        for name, shift in (("feat_a", 2.5), ("feat_c", -2.0), ("feat_f", 1.5)):
            columns[name] = columns[name] + shift * fraud
        chosen = np.where(
            fraud,
            random.choice(CATEGORIES, rows, p=FRAUD_SHARES),
            random.choice(CATEGORIES, rows, p=LEGITIMATE_SHARES),
        )
        cents = np.rint(np.exp(random.normal(3.0, 1.0, rows) + 0.8 * fraud) * 100).astype(np.int64)
        return pa.table(
            {
                "txn_amount": pa.array([Decimal(each).scaleb(-2) for each in cents.tolist()], pa.decimal128(18, 2)),
                "epoch_seconds": pa.array(seconds + int(first.timestamp()), pa.int64()),
                **columns,
                "merchant_category": chosen.tolist(),
                "card_id": [f"{card:06d}" for card in random.integers(0, 50_000, rows).tolist()],
                "is_fraud": pa.array(fraud.astype(np.int8)),
            }
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the case at the size that the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=BankCase.rows)
    parser.add_argument("--days", type=int, default=BankCase.days)
    parser.add_argument("--seed", type=int, default=BankCase.seed)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    BankCase(rows=given.rows, days=given.days, seed=given.seed).write(given.out)
    (given.out / "data.yaml").write_text(DATA_YAML)


if __name__ == "__main__":
    main()
