"""Finds the comparison that a promotion needs, or says why there is none. Reads only.

With a shadow in production's roll-out, a promotion needs one that is complete: of the approved digest, with the model
that production serves, for the stated time. A first model has no traffic to be compared on, and needs none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ml import clock, config
from ml.aws.shadow_store import ShadowStore
from ml.errors import Refused
from ml.gitops import commit_messages
from ml.release import shadow_verdict
from ml.release.staged_deployment import StagedDeployment

_RUN = "Run `fraudops shadow`"


@dataclass(frozen=True, kw_only=True)
class ShadowEvidence:
    """A comparison's document, and its URI."""

    document: Mapping[str, Any]
    uri: str


def find(
    record: config.ApprovalRecord, production: config.ServingFile, staged: StagedDeployment
) -> ShadowEvidence | None:
    """The complete comparison of `record`; None if production's roll-out needs none.

    Raises:
        Refused: there is none of what staging serves now, it is not complete or has compared nothing, or it is not of
            what production states and serves now.
        DataError: the document was changed, or is of another form.
        CloudError: S3 refuses or cannot be reached.
    """
    settings, number = production.rollout.shadow, commit_messages.number(record.approval)
    if settings is None or production.approval is None:
        return None
    store = ShadowStore(staged.where.bucket, staged.latest)
    document = store.comparison()
    if document is None:
        raise Refused(
            f"{config.SERVING} states a shadow, and approval {number} has not been compared yet as "
            f"{staged.latest.endpoint_config}. {_RUN}"
        )
    compared, window = document["champion"]["approval"], document["window"]
    if compared != production.approval:
        raise Refused(
            f"{store.uri} compares approval {number} with approval {compared:04d}, and production serves "
            f"{production.approval:04d} now. {_RUN} again"
        )
    if window["hours"] < settings.hours:
        raise Refused(
            f"{store.uri} is of {window['hours']} hours, and {config.SERVING} states {settings.hours}. {_RUN} again"
        )
    if document["decision"] == shadow_verdict.WAIT:
        until = f"its time is over at {window['end']}"
        if window["over"]:
            last = clock.stamp(shadow_verdict.retried_until(document))
            until = f"requests with server errors are sent again until {last}"
        raise Refused(f"the shadow of approval {number} is not complete: {document['reason']}. {_RUN} again; {until}")
    if not document["rows"]:
        raise Refused(
            f"the shadow of approval {number} has compared nothing: {document['reason']}. More time does not change "
            f"that: find out in the logs of {staged.latest.endpoint} why it gives no scores, deploy to staging what "
            f"does, and run `fraudops shadow` again"
        )
    return ShadowEvidence(document=document, uri=store.uri)
