"""Scores requests at the endpoint, as the inference handler of SageMaker's scikit-learn container.

In the model archive this file is code/inference.py, next to the modules of ml/model that it needs. It runs on numpy and
the standard library, and never loads a format that can execute code from a model archive.

How a handler returns a 4xx depends on the server; see `transform_fn`.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ml.model import explanation, scoring_responses
from ml.model.request_parser import RequestParser
from ml.model.scorer import Scorer
from ml.model.scoring_responses import PayloadError

_ROW_BY_ROW = 24  # up to this many rows plain Python is faster than numpy's cost per call; the scores are identical


@dataclass(frozen=True)
class Model:
    """The loaded model: its scorer, a parser for its inputs, and the version that responses name."""

    scorer: Scorer
    parser: RequestParser
    version: str


@dataclass(frozen=True)
class Answer:
    """An HTTP response with the field names of Flask's, for a server that is neither of SageMaker's two."""

    data: bytes
    status_code: int
    mimetype: str


def model_fn(model_dir: str) -> Model:
    """Loads the model in `model_dir`/model.json.

    Its version is FRAUDOPS_MODEL_VERSION (the approval's number, set by the roll-out), or else its digest.
    """
    scorer = Scorer.from_json((Path(model_dir) / "model.json").read_bytes())
    version = os.environ.get("FRAUDOPS_MODEL_VERSION") or scorer.version
    return Model(scorer, RequestParser.of(scorer.document), version)


def transform_fn(model: Model, body: bytes | str, content_type: str | None, accept: str | None) -> Any:
    """Answers one request: (bytes, content type) if it was scored, else a 4xx in the form that the server expects.

    SageMaker's single-model server passes a Flask response through. Its multi-model server turns an error of
    sagemaker_inference into a response with its status. Both packages may be loaded in both servers, so an active Flask
    request decides. Any other server gets an Answer.
    """
    try:
        return score_request(model, body, content_type, accept)
    except PayloadError as error:
        flask = sys.modules.get("flask")
        if flask is not None and flask.has_request_context():
            return flask.Response(error.body, status=error.status, mimetype=scoring_responses.JSON)
        toolkit = sys.modules.get("sagemaker_inference.errors")
        if toolkit is not None and hasattr(toolkit, "GenericInferenceToolkitError"):
            raise toolkit.GenericInferenceToolkitError(error.status, error.body.decode(), str(error)) from error
        return Answer(error.body, error.status, scoring_responses.JSON)


def score_request(model: Model, body: bytes | str, content_type: str | None, accept: str | None) -> tuple[bytes, str]:
    """Scores a request; returns the body and the content type of the response.

    Raises:
        PayloadError: the request is invalid; no row was scored.
    """
    kind, header = scoring_responses.negotiate(accept)
    batch = model.parser.parse(body, content_type)
    scorer = model.scorer
    rates: list[float] | None = None
    if len(batch.rows) <= _ROW_BY_ROW:
        scores = [scorer.score_row(row) for row in batch.rows]
        if batch.calibrated:
            rates = [scorer.calibrated_row(row) for row in batch.rows]
    else:
        rows = np.array(batch.rows)
        scores = scorer.score(rows).tolist()
        if batch.calibrated:
            rates = scorer.calibrated(rows).tolist()
    explanations = None
    if batch.explained is not None:
        explanations = [explanation.reasons(explanation.explain(scorer, row)) for row in batch.explained]
    limit = scorer.threshold.score
    decisions = [1 if score >= limit else 0 for score in scores]
    answer = scoring_responses.write(
        scores,
        decisions,
        batch.event_ids,
        model_version=model.version,
        kind=kind,
        header=header,
        fraud_rates=rates,
        explanations=explanations,
    )
    return answer, kind
