"""The plain way to serve: Flask with a joblib pipeline, for gunicorn in .venv-bench (`serve_peer:app`).

`python serve_peer.py MODEL.json FILE.joblib` writes the pipeline; the app reads the file that PEER_PIPELINE names.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped] # it ships no types
import pandas as pd
from flask import Flask, Response, jsonify, request
from plain_pipeline import INPUTS, same_model  # type: ignore[import-not-found] # beside this script

THRESHOLD = 0.5
app = Flask(__name__)
_PIPELINE: Any = joblib.load(os.environ["PEER_PIPELINE"]) if "PEER_PIPELINE" in os.environ else None


@app.get("/ping")
def ping() -> Response:
    """Answers the health check."""
    return Response(status=200)


@app.post("/invocations")
def invocations() -> Response:
    """Scores the rows of a CSV body."""
    rows = pd.read_csv(io.StringIO(request.get_data(as_text=True)), header=None, names=INPUTS)
    scores = _PIPELINE.predict_proba(rows)[:, 1]
    predictions = [{"score": score, "decision": int(score >= THRESHOLD)} for score in scores.tolist()]
    return jsonify(predictions=predictions)


if __name__ == "__main__":
    joblib.dump(same_model(Path(sys.argv[1])), sys.argv[2])
    print("{}")
