"""The inference handler that SageMaker's scikit-learn container calls.

In the model archive this file is code/inference.py, with the few modules of ml/model that it needs beside it. It runs
on numpy and the standard library and must never load anything that could execute what a model archive says.

A handler that wants to answer a 4xx must speak to whichever server called it; see `transform_fn`.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ml.model import media_types
from ml.model.media_types import PayloadError
from ml.model.request_parser import Reader
from ml.model.scorer import Scorer

_FEW = 24  # rows up to which plain Python beats numpy's fixed cost per call; scores are the same bits either way


@dataclass(frozen=True)
class Model:
    """What `model_fn` loads: the scorer, a reader for its inputs, and the name that answers carry."""

    scorer: Scorer
    reader: Reader
    version: str


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, with the names that Flask's responses have, for a server that is neither of SageMaker's."""

    data: bytes
    status_code: int
    mimetype: str


def model_fn(model_dir: str) -> Model:
    """The model in `model_dir`/model.json.

    Answers call it FRAUDOPS_MODEL_VERSION (the approval's number, set when it is deployed), or else by its own digest.
    """
    scorer = Scorer.from_json((Path(model_dir) / "model.json").read_bytes())
    version = os.environ.get("FRAUDOPS_MODEL_VERSION") or scorer.version
    return Model(scorer, Reader(scorer.inputs, scorer.document.amount), version)


def transform_fn(model: Model, body: bytes | str, content_type: str | None, accept: str | None) -> Any:
    """The answer to one request: (bytes, content type) where it was scored, else a 4xx in the caller's own terms.

    SageMaker's single-model server passes a Flask response through, so that is what it gets. Its multi-model server
    answers with the status of the errors of sagemaker_inference, so that is raised. (Both packages may be loaded in
    either, hence the look at Flask's request.) Any other server gets an Answer.
    """
    try:
        return respond(model, body, content_type, accept)
    except PayloadError as error:
        flask = sys.modules.get("flask")
        if flask is not None and flask.has_request_context():
            return flask.Response(error.body, status=error.status, mimetype=media_types.JSON)
        toolkit = sys.modules.get("sagemaker_inference.errors")
        if toolkit is not None and hasattr(toolkit, "GenericInferenceToolkitError"):
            raise toolkit.GenericInferenceToolkitError(error.status, error.body.decode(), str(error)) from error
        return Answer(error.body, error.status, media_types.JSON)


def respond(model: Model, body: bytes | str, content_type: str | None, accept: str | None) -> tuple[bytes, str]:
    """The answer's body and type for a request that holds.

    Raises:
        PayloadError: it does not; nothing was scored.
    """
    kind, header = media_types.negotiate(accept)
    batch = model.reader.read(body, content_type)
    scorer = model.scorer
    if len(batch.rows) <= _FEW:
        scores = [scorer.score_row(row) for row in batch.rows]
    else:
        scores = scorer.score(np.array(batch.rows)).tolist()
    limit = scorer.threshold.score
    decisions = [1 if score >= limit else 0 for score in scores]
    answer = media_types.write(
        scores, decisions, batch.event_ids, model_version=model.version, kind=kind, header=header
    )
    return answer, kind
