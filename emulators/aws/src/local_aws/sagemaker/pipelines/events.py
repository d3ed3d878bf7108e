"""The events that Pipelines sends, in AWS's shapes, delivered in order by one thread and outside of every lock.

Whoever receives an event may call back into the service; a receiver that fails costs its event and nothing else.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from local_aws.errors import Emit
from local_aws.sagemaker.pipelines import names
from local_aws.sagemaker.pipelines.step_types import Identity, Record

log = logging.getLogger(__name__)

EXECUTION = "SageMaker Model Building Pipeline Execution Status Change"
STEP = "SageMaker Model Building Pipeline Execution Step Status Change"


class Events:
    """Delivers events in the order in which they are put."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._queue: queue.SimpleQueue[tuple[str, Mapping[str, Any], Sequence[str]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._deliver, name="pipeline-events", daemon=True)
        self._thread.start()

    def execution(
        self,
        identity: Identity,
        *,
        status: str,
        previous: str | None,
        started: datetime,
        ended: datetime | None,
        display_name: str,
        description: str,
    ) -> None:
        """An execution's status changed."""
        detail: dict[str, Any] = {
            "pipelineExecutionDisplayName": display_name,
            "currentPipelineExecutionStatus": status,
            "executionStartTime": names.iso(started),
            "pipelineExecutionDescription": description,
            "pipelineArn": identity.pipeline_arn,
            "pipelineExecutionArn": identity.arn,
        }
        if previous:
            detail["previousPipelineExecutionStatus"] = previous
        if ended:
            detail["executionEndTime"] = names.iso(ended)
        self._put(EXECUTION, detail, identity)

    def step(self, identity: Identity, record: Record, previous: str | None) -> None:
        """A step's status changed."""
        detail: dict[str, Any] = {
            "metadata": names.camel(dict(record.metadata)),
            "stepStartTime": names.iso(record.started),
            "stepName": record.step.name,
            "stepType": record.step.type,
            "currentStepStatus": record.status,
            "pipelineArn": identity.pipeline_arn,
            "pipelineExecutionArn": identity.arn,
        }
        if previous:
            detail["previousStepStatus"] = previous
        if record.ended:
            detail["stepEndTime"] = names.iso(record.ended)
        if record.failure:
            detail["failureReason"] = record.failure
        if record.cached_from:
            detail["cacheHitResult"] = {"sourcePipelineExecutionArn": record.cached_from}
        self._put(STEP, detail, identity)

    def close(self) -> None:
        """Returns when everything put before is delivered."""
        self._queue.put(None)
        self._thread.join(timeout=30)

    def _put(self, kind: str, detail: Mapping[str, Any], identity: Identity) -> None:
        self._queue.put((kind, detail, (identity.pipeline_arn, identity.arn)))

    def _deliver(self) -> None:
        while (item := self._queue.get()) is not None:
            try:
                self._emit(*item)
            except Exception:
                log.exception("an event of %s was not delivered", item[2][-1])
