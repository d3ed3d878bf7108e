"""Delivers events of SageMaker Pipelines, in AWS's shapes and in order, from one thread that holds no lock.

A receiver may call back into the service. A receiver that fails loses its event only.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from local_aws.errors import EmitEvent
from local_aws.sagemaker.pipelines import names
from local_aws.sagemaker.pipelines.step_types import ExecutionIdentity, StepRecord

log = logging.getLogger(__name__)

EXECUTION = "SageMaker Model Building Pipeline Execution Status Change"
STEP = "SageMaker Model Building Pipeline Execution Step Status Change"


class PipelineEvents:
    """Delivers events in the order in which they were put."""

    def __init__(self, emit: EmitEvent) -> None:
        self._emit = emit
        self._queue: queue.SimpleQueue[tuple[str, Mapping[str, Any], Sequence[str]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._deliver, name="pipeline-events", daemon=True)
        self._thread.start()

    def execution(
        self,
        identity: ExecutionIdentity,
        *,
        status: str,
        previous: str | None,
        started: datetime,
        ended: datetime | None,
        display_name: str,
        description: str,
    ) -> None:
        """Emits a change of an execution's status."""
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

    def step(self, identity: ExecutionIdentity, record: StepRecord, previous: str | None) -> None:
        """Emits a change of a step's status."""
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
        """Returns when all earlier events are delivered."""
        self._queue.put(None)
        self._thread.join(timeout=30)

    def _put(self, kind: str, detail: Mapping[str, Any], identity: ExecutionIdentity) -> None:
        self._queue.put((kind, detail, (identity.pipeline_arn, identity.arn)))

    def _deliver(self) -> None:
        while (item := self._queue.get()) is not None:
            try:
                self._emit(*item)
            except Exception:
                log.exception("could not deliver an event of %s", item[2][-1])
