"""Renders a training run as Markdown for step summaries and issues: the verdict, its evidence and the next step.

Everything that came from files, people or AWS is escaped (ml.gitops.markdown_escaping). Decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ml.clock import stamp
from ml.gitops import commit_messages, gate_lines, gate_words, metric_tables
from ml.gitops.markdown_escaping import code, link, table, text
from ml.training.gate_result import GateResult
from ml.training.result import DryRun


def dry_run(found: DryRun, asked: str) -> str:
    """The inputs that a training would have."""
    window = found.window
    rows = [
        ("kind of run", text(found.kind)),
        ("commit", code(found.commit)),
        *([("asked for", text(asked))] if asked else []),
        ("answers", ", ".join(code(name) for name in found.requests) or "no retrain request"),
        ("events", f"from {_moment(window.start, 'the first')} to {_moment(window.end, 'the last')}"),
        ("data", f"{found.rows:,} rows with {found.frauds:,} frauds in {', '.join(map(code, found.imports))}"),
        ("data digest", code(found.data_sha256)),
        ("configuration", code(found.config_sha256)),
        ("code", code(found.code_sha256)),
        ("pipeline definition", code(found.definition_sha256)),
        (
            "champion",
            f"approval {commit_messages.number(found.champion)}" if found.champion is not None else "none serves",
        ),
        ("instance", code(found.instance_type)),
        ("execution", code(found.execution_arn) if found.execution_arn else "none yet for these inputs"),
    ]
    return f"### Dry run: nothing was started\n\n{table(('a training would have', ''), rows)}"


def training_failed(execution_arn: str, reason: str) -> str:
    """A training that ended before the gate decided."""
    return f"### Training failed\n\n{text(reason)}\n\n{table(('', ''), [('execution', code(execution_arn))])}"


def proposed(*, number: int, url: str, approval: int, outcome: str, closed: Sequence[int], found: GateResult) -> str:
    """A model that passed, and its approval pull request."""
    also = f" It replaces {', '.join(f'#{each}' for each in closed)}." if closed else ""
    return "\n\n".join(
        [
            f"### Approval {commit_messages.number(approval)} is proposed",
            f"Pull request {link(f'#{number}', url)} was {outcome}; merging it deploys the model.{also}",
            *_evidence(found.evaluation),
            _sources(found),
        ]
    )


def not_proposed(reason: str, found: GateResult) -> str:
    """A model that passed and needs no pull request."""
    return "\n\n".join(["### Nothing to propose", text(reason), _sources(found)])


def gate_failed(found: GateResult, *, recorded: str, issues: Sequence[tuple[int, str]]) -> str:
    """A gate failure with all failed checks."""
    named = ", ".join(link(f"#{number}", url) for number, url in issues)
    return "\n\n".join(
        [
            "### Gate failed: no model is proposed",
            f"{text(gate_words.readable(found.reason))}",
            *_question(found.evaluation),
            *_evidence(found.evaluation),
            f"{recorded}. Discussed in {named}.",
            _sources(found),
        ]
    )


def gate_failure_evidence(found: GateResult, run_url: str | None) -> str:
    """A gate failure as the text of an issue: the evidence, the resolved requests and the next steps."""
    closes = ", ".join(map(code, found.requests))
    closing = f"This resolves {closes}: no later run trains for it again." if closes else "No retrain request was open."
    asked = [f"The run was started with the reason: {text(found.asked)}"] if found.asked else []
    return "\n\n".join(
        [
            f"A model was trained and the gate failed: {text(gate_words.readable(found.reason))}",
            *_question(found.evaluation),
            *_evidence(found.evaluation),
            *asked,
            f"{closing} The serving model is unchanged.",
            "To try again, change `model-config/training/`, import more data, or commit another retrain request; a "
            "re-run of the same commit and data would give the same verdict.",
            _sources(found) + (f"\n\n{link('The run', run_url)}" if run_url else ""),
        ]
    )


def _evidence(evaluation: Mapping[str, Any]) -> list[str]:
    checks = gate_lines.lines(evaluation)
    measured = [metric_tables.metrics(evaluation)] if evaluation.get("metrics") else []
    return ["\n".join(checks), *measured] if checks else measured


def _question(evaluation: Mapping[str, Any]) -> list[str]:
    """The question of the alert budget, what other budgets cost and find, and where the answer is written; or none."""
    if not metric_tables.question(evaluation):
        return []
    return [
        metric_tables.budget({"budget": evaluation["budget"]}),  # as a job hands it over: the same rates from both
        "To allow more alerts, set `alert_budget` and `threshold.value` in `model-config/training/model.yaml`, and "
        "`max_false_positive_rate` in `model-config/training/gate.yaml`; the commit starts a training run. To miss "
        "these frauds knowingly, lower `min_recall` or leave the champion. Without either, later runs fail as well.",
    ]


def _sources(found: GateResult) -> str:
    rows = [
        ("kind of run", text(found.kind)),
        ("execution", code(found.execution_arn)),
        *([("package", code(found.package_arn))] if found.package_arn else []),
        ("evaluation", code(found.evaluation_uri)),
        ("commit", code(found.commit)),
        ("answers", ", ".join(map(code, found.requests)) or "no retrain request"),
    ]
    return table(("evidence", "value"), rows)


def _moment(moment: datetime | None, otherwise: str) -> str:
    return stamp(moment) if moment is not None else otherwise
