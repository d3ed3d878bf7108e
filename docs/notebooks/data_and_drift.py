# %% [markdown]
# # From data to drift
#
# What `fraudops explore` says about a data set, and what the drift tests find in traffic that has and has not drifted.
# The data is made by the project's own generator (`ml/simulate`): no row of a real data set is here. `docs/notebook.py`
# executes the script `data_and_drift.py` and writes this notebook; a test runs it without a network.

# %%
import tempfile
import textwrap
from datetime import timedelta
from pathlib import Path

import pyarrow.csv

from ml import config
from ml.commands.explore import explore
from ml.model import document_fields, features, metrics, model_fit
from ml.model.drift import detector
from ml.model.drift.reference import complete_reference, start_reference
from ml.model.scorer import Scorer
from ml.playground.template_state import FOLDER
from ml.report import data_plots, drift_report, drift_words
from ml.report import data_statistics as statistics
from ml.simulate import scenario, stand_in_data
from ml.simulate.year_traffic import Year

folder = Path(tempfile.mkdtemp())

# %% [markdown]
# ## The data set
#
# 30,000 card payments of two days with 120 frauds, in the columns of the public ULB data set. `fraudops explore` makes
# one page of a file; these are its first figures.

# %%
rows = stand_in_data.draw(30_000, frauds=120, seed=7)
pyarrow.csv.write_csv(rows, folder / "payments.csv")
report = explore(FOLDER, str(folder / "payments.csv"), folder / "data.html")
print(f"rows            {report.rows:>7,}, {report.frauds} of them frauds")
print(f"invalid rows    {report.invalid_rows:>7,}")
print(f"repeated rows   {report.duplicates:>7,}")
print(f"separates best  {report.best_column:>7}, alone {report.separability:.3f} of 1 (0.5 separates nothing)")
print(f"page            {(folder / 'data.html').stat().st_size / 1024:>7,.0f} KiB")

# %% [markdown]
# The page shows every column; here are the five that separate the classes best, and the share of frauds by hour.

# %%
frauds = rows["Class"].to_numpy() == 1
columns = [statistics.column(name, rows[name].to_numpy().astype(float), frauds) for name in rows.column_names[1:-1]]
for column in sorted(columns, key=lambda each: -each.separability.strength)[:5]:
    print(f"{column.name:<7} {column.separability.strength:.3f}")

# %%
hours = statistics.hour_bins(features.hour_of_day(rows["Time"].to_numpy().astype(float), 1), frauds)
data_plots.rates("Hours of the day", hours)

# %% [markdown]
# ## A model and its drift reference
#
# The scenario `both` of the simulated year, with more frauds so that months are small: every input moves by 0.05
# standard deviations a month from month 4, and from month 7 half of the top 1 % by amount are frauds. The model is
# fitted on the history before month 1 with the settings that ship.

# %%
story = scenario.load("both").model_copy(update={"fraud_share": 0.01})
story = story.model_copy(update={"history": story.history.model_copy(update={"rows": 60_000})})
year = Year(story, seed=3, rows=15_000)
columns, training = config.load_columns(FOLDER), config.load_settings(FOLDER).training


def inputs_of(day):
    """The rows of a month as a data frame, with labels and times."""
    frame = day.transactions.to_pandas()
    return frame[list(columns.inputs)], day.truth, frame["event_time"].dt.tz_localize(None).to_numpy()


X, y, times = inputs_of(year.month(0))
cuts = [int(len(X) * share) for share in (0.6, 0.8)]
train, validation, test = (slice(*ends) for ends in ((0, cuts[0]), (cuts[0], cuts[1]), (cuts[1], None)))
fit = model_fit.fit(training, (X[train], y[train]), (X[validation], y[validation]))
nowhere = {"commit": "0" * 40, "config_sha256": "0" * 64, "data_sha256": "0" * 64}
scorer = Scorer.from_json(document_fields.canonical(fit.document(training) | {"provenance": nowhere}))
scores = scorer.score(X[test].to_numpy())
decisions = scorer.decide(scores)
counts = metrics.Confusion.of(y[test], decisions)
print(f"test rows  {len(scores):,}, {counts.positives} of them frauds")
print(f"recall     {counts.true_positives / counts.positives:.2f}")
print(f"precision  {counts.true_positives / counts.alerts:.2f}")

# %%
windows = {
    part: {"start": f"{times[rows][0]}Z", "end": f"{times[rows][-1]}Z"}
    for part, rows in (("train", train), ("validation", validation), ("test", test))
}
reference = detector.Reference.of(
    complete_reference(
        start_reference(columns, X[train], y[train], times=times[train]),
        columns,
        X[test],
        y[test],
        scores=scores,
        decisions=decisions,
        times=times[test],
        windows=windows,
    )
)

# %% [markdown]
# ## Experiments
#
# Three months of the year are tested against that reference as a drift check does it: one before any drift, one in
# which the inputs have moved, and the first in which high amounts are frauds.

# %%
rules = detector.Rules.from_dict(config.load_drift(FOLDER).to_rules())
amount = columns.inputs.index(columns.amount)


def check(month):
    """The verdict on a month, with all its labels known."""
    X, y, times = inputs_of(year.month(month))
    values = X.to_numpy()
    scores = scorer.score(values)
    decisions = scorer.decide(scores)
    start, end = year.span(month)
    summary = detector.WindowSummary.of(reference, values, scores=scores, decisions=decisions, times=times)
    labels = detector.LabelSummary.of(reference, times=times, labels=y, decisions=decisions, amounts=values[:, amount])
    verdict = detector.evaluate(
        reference, summary, labels, rules, start=start, end=end, as_of=end + timedelta(days=60), reference="notebook"
    )
    return verdict, summary


checked = {month: check(month) for month in (1, 6, 7)}
for month, (verdict, _) in checked.items():
    print(f"month {month}: {', '.join(verdict.verdicts)}")
    print(textwrap.fill(drift_words.headline(verdict) + ".", 110, initial_indent="  ", subsequent_indent="  "))

# %% [markdown]
# Every finding of the last month, one line each, and the picture of the rates on mature labels.

# %%
verdict, summary = checked[7]
for line in drift_words.lines(verdict)[:8]:
    print(f"{line.kind:<10} {line.words}")

# %%
drift_report.draw(reference, verdict, summary, [verdict], rules)["outcomes.png"]
