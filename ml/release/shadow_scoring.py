"""Sends copies of captured requests to staging's endpoint, and keeps its answers. Compares nothing.

Each answer is stored before the run ends, so a run that was cut off goes on with the requests that have none. Requests
that the model answered with a 5xx status are sent again at the end of the run, and by the next run. If that is most of
them, the next run alone sends them again: a model that is down or answers none in time would cost each run the waiting
of every request twice, and its cause does not pass within a run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed

from ml.aws import endpoint
from ml.aws.capture import envelope, record_decoder
from ml.aws.capture.captured_requests import CapturedRequest
from ml.aws.shadow_store import CopyAnswer, ShadowStore
from ml.console import note
from ml.errors import CloudError, Refused

INFERENCE_ID = "shadow-"
"""The prefix of the inference ids of copies."""
_REQUESTS_TOGETHER = 500
"""Stored as one object."""
_THREADS = 8
_ATTEMPTS = 2
"""How often a run sends a request that is answered with a server error."""
_MOST = 0.5
"""A share of all requests; if more fail, the run does not send them again."""
_SERVER_ERROR = 500


def score(name: str, version: str, requests: Sequence[CapturedRequest], store: ShadowStore) -> dict[str, CopyAnswer]:
    """The answers of the endpoint `name` to the copies of `requests`, by their ids: stored ones, and new ones.

    Args:
        version: the version that the answers must state.

    Raises:
        Refused: another version answered.
        CloudError: an answer has another form, or SageMaker or S3 refuses or cannot be reached. What was answered until
            then is stored.
    """
    found = store.answers()
    missing = [each for each in requests if each.id not in found]
    note(f"{len(requests) - len(missing):,} of {len(requests):,} requests were scored before")
    for attempt in range(_ATTEMPTS):
        if attempt and len(missing) > _MOST * len(requests):
            failed = f"{len(missing):,} of {len(requests):,} requests"
            note(f"{failed} were answered with a server error, so this run does not send them again")
            break
        for place in range(0, len(missing), _REQUESTS_TOGETHER):
            part = missing[place : place + _REQUESTS_TOGETHER]
            found |= _score_part(name, version, part, store)
        missing = [each for each in missing if found[each.id].status >= _SERVER_ERROR]
    return {each.id: found[each.id] for each in requests}


def _score_part(name: str, version: str, part: Sequence[CapturedRequest], store: ShadowStore) -> dict[str, CopyAnswer]:
    """The answers to `part`, which are stored as one object. After a failure no further request is sent."""
    sent: dict[Future[CopyAnswer], str] = {}
    try:
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="shadow") as threads:
            try:
                sent |= {threads.submit(_answer, name, version, request): request.id for request in part}
                for future in as_completed(sent):
                    future.result()
            finally:
                for future in sent:
                    future.cancel()
    finally:
        # All threads have ended.
        ended = [future for future in sent if not future.cancelled() and future.exception() is None]
        answered = {sent[future]: future.result() for future in ended}
        # Server errors are not kept: the next run asks again.
        store.add({each: answer for each, answer in answered.items() if answer.status < _SERVER_ERROR})
    return answered


def _answer(name: str, version: str, request: CapturedRequest) -> CopyAnswer:
    reply = endpoint.send(name, request.body, request.content_type, inference_id=f"{INFERENCE_ID}{request.id}")
    if reply.status != 200:
        return CopyAnswer(status=reply.status)
    try:
        form = envelope.detect_format(reply.body, "application/json", "predictions")
        answers = record_decoder.decode_answers(reply.body, form)
    except envelope.Unreadable as error:
        raise CloudError(
            f"endpoint {name} gave an answer of {len(reply.body):,} bytes without predictions: {error}"
        ) from error
    if answers is None or len(answers) != len(request.rows) or not all(math.isfinite(each[0]) for each in answers):
        found = "no" if answers is None else f"{len(answers):,}"
        raise CloudError(
            f"endpoint {name} gave {found} answers, or scores that are no numbers, to a request of "
            f"{len(request.rows):,} rows"
        )
    stated = sorted({each or "none" for _, _, each, _ in answers} - {version})
    if stated:
        raise Refused(
            f"endpoint {name} answered as model {', '.join(stated)} and not as {version}: staging was deployed "
            "meanwhile. Run `fraudops shadow` again once it serves the approval"
        )
    return CopyAnswer(
        status=200,
        scores=tuple(score for score, _, _, _ in answers),
        decisions=tuple(decision for _, decision, _, _ in answers),
    )
