"""Lambda entry point: handles one approval event and writes its outcome to S3, the log and, for alarms, the topic.

Decides nothing. Final outcomes return; transient failures raise, so that Lambda retries and finally moves the event to
the dead-letter queue.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from deploy_model import access, documents, logic


class _Json(logging.Formatter):
    """One JSON object per line, including `extra={"fields": {...}}` of a call."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {"level": record.levelname, "message": record.getMessage()}
        entry.update(getattr(record, "fields", {}))
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, sort_keys=True, default=str)


def _logger() -> logging.Logger:
    logger = logging.getLogger("deploy_model")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(_Json())
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False  # Lambda's own handler would print each line again
    return logger


def handle(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Handles one "SageMaker Model Package State Change" event; returns its outcome as written to S3.

    Raises:
        logic.Busy: the endpoint is being changed.
        Exception: AWS is throttling, failing or out of reach.
    """
    log, environment = _logger(), documents.Environment.read(os.environ)
    aws = access.Aws(environment.bucket, environment.topic_arn)
    try:
        outcome = logic.deploy(event, aws, environment)
    except logic.Busy as busy:
        log.warning("to be retried", extra={"fields": {"event_id": event.get("id"), "reason": str(busy)}})
        raise
    except ClientError as error:
        if access.passing(error):
            log.warning("to be retried", extra={"fields": {"event_id": event.get("id"), "reason": str(error)}})
            raise
        outcome = _failed(event, aws, error)
    document = {"schema": 1, "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), **asdict(outcome)}
    log.log(logging.WARNING if outcome.alarming else logging.INFO, outcome.outcome, extra={"fields": document})
    aws.record(outcome.event_id, document)
    if outcome.alarming:
        aws.report(f"fraudops: deployment {outcome.outcome} ({outcome.code})", document)
    return document


def _failed(event: dict[str, Any], aws: access.Aws, error: ClientError) -> documents.Outcome:
    """The outcome of a final AWS error, such as an exhausted quota or a missing permission."""
    problem = error.response.get("Error", {})
    text = aws.text(logic.DESIRED)
    desired = documents.Desired.parse(text) if text else None
    return documents.Outcome(
        event_id=logic.event_id(event),
        model_package_arn=logic.package_arn(event),
        outcome="failed",
        code=str(problem.get("Code", "error")),
        reason=f"{error.operation_name}: {problem.get('Message', error)}",
        desired=desired.id if desired else None,
        endpoint=desired.endpoint if desired else None,
    )
