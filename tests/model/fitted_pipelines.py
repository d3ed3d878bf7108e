"""The scikit-learn pipeline behind a fit of scikit_learn_pipeline, to compare its export with; not a test itself."""

from __future__ import annotations

from imblearn.pipeline import Pipeline

from ml.model.estimators.contract import Fitted
from ml.model.estimators.scikit_learn_pipeline import FittedPipeline


def pipeline_of(fitted: Fitted) -> Pipeline:
    """The pipeline that `fitted` holds."""
    assert isinstance(fitted, FittedPipeline)
    return fitted.pipeline
