"""The body of a promotion's pull request: what moves, what it replaces, how it served in staging, what differs there.

Figures are those of the approval records and of the deployment to staging; nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml import config
from ml.aws.deployment_records import Deployment
from ml.gitops import commit_messages
from ml.gitops.markdown_escaping import code, table, text
from ml.gitops.promotions import PromotionBranch

_FIGURES = ("recall", "precision", "false_positive_rate", "average_precision", "recall_at_alert_budget", "alert_rate")
_OWN = frozenset({"approval", "endpoint"})
"""Settings that differ between the stages by their nature."""


def body(
    prepared: PromotionBranch,
    champion: config.ApprovalRecord | None,
    served: Deployment,
    staging: config.ServingFile,
    production: config.ServingFile,
) -> str:
    """The body as Markdown.

    Args:
        champion: the record of the approval that production serves now; None if it serves nothing.
        served: the latest deployment to staging, which succeeded.
        staging, production: the two serving files on main.
    """
    record = prepared.record
    this = commit_messages.number(record.approval)
    former = commit_messages.number(prepared.current) if prepared.current is not None else None
    instead = f"in place of approval {former}" if former else "as its first model"
    blocks = [
        f"Merging this serves approval {this} in production {instead}, as soon as {code('deploy.yml')} has verified "
        "and deployed it. Nothing is trained, evaluated or packed again: the digest that staging serves moves. Only "
        f"{code(config.SERVING)} changes.",
        "## In staging",
        table(("", ""), _staging(record, served)),
        "## Against the model in production" if champion else "## Its figures",
        table(("", *([f"now: {former}"] if champion else []), f"then: {this}"), _figures(record, champion)),
    ]
    if champion is not None:
        reason = record.champion.reason if record.champion else "they were not compared"
        blocks.append(
            "Each column is measured on its model's own test rows. The comparison on the same rows is in the "
            f"approval's record: {text(reason)}."
        )
    blocks += ["## Settings that differ between the stages", _settings(staging, production)]
    blocks += [
        "## What reverting does",
        f"A rollback serves approval {former} again: {code('fraudops rollback')} reverts only the commit "
        f"{code(f'Serve approval {this}')}. Staging stays as it is."
        if former
        else "A rollback is not possible yet: production served no model before this one.",
    ]
    return "\n\n".join(blocks) + "\n"


def _staging(record: config.ApprovalRecord, served: Deployment) -> list[tuple[str, str]]:
    smoke = served.smoke or {}
    scored = f"{smoke['rows']:,} known transactions scored as the approved model scores them" if smoke else "not done"
    return [
        ("artifact", code(f"sha256:{record.artifact.sha256}")),
        ("endpoint", code(served.endpoint)),
        ("serves since", text(served.finished)),
        ("smoke test", text(scored)),
        ("package there", code(served.model_package_arn)),
        ("package in production", code(record.model_package_arn)),
        ("deployed from", code(served.commit)),
    ]


def _figures(record: config.ApprovalRecord, champion: config.ApprovalRecord | None) -> list[list[str]]:
    records = [each for each in (champion, record) if each is not None]
    rows = [[name.replace("_", " "), *(_figure(each.metrics.get(name)) for each in records)] for name in _FIGURES]
    rows.append(["threshold", *(f"{each.threshold:.6g}" for each in records)])
    rows.append(["trained from", *(code(each.commit[:12]) for each in records)])
    return rows


def _figure(found: config.Interval | None) -> str:
    return f"{found.value:.4g} ({found.low:.4g} to {found.high:.4g})" if found is not None else "–"


def _settings(staging: config.ServingFile, production: config.ServingFile) -> str:
    one, other = (_flat(each.model_dump(mode="json")) for each in (staging, production))
    rows = [
        [code(name), code(one.get(name)), code(other.get(name))]
        for name in {**one, **other}
        if name not in _OWN and one.get(name) != other.get(name)
    ]
    if not rows:
        return "None: instances, capture and roll-out are the same."
    return table(("setting", "staging", "production"), rows)


def _flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in document.items():
        leaves |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return leaves
