"""Renders the outcome of a retrain request for summaries and annotations. Decides nothing."""

from __future__ import annotations

from ml.drift.drift_case import RequestOutcome
from ml.gitops.markdown_escaping import code, text

_STATES = {
    "requested": "A retrain is requested",
    "proposed": "A pull request proposes a retrain",
    "already requested": "A retrain was requested before",
    "suppressed": "No request was created",
    "circuit breaker open": "No request was created; the circuit breaker is open",
}


def outcome(found: RequestOutcome) -> str:
    """One paragraph of Markdown."""
    return f"**{_STATES[found.state]}** ({code(found.request)}, kind {text(found.run_kind)}): {text(found.reason)}."


def annotation(found: RequestOutcome) -> str:
    """One plain line."""
    return f"{found.request}: {found.state}. {found.reason}"
