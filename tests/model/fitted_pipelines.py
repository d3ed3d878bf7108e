"""The scikit-learn pipeline behind a fitted logistic regression, to compare its export with; not a test itself."""

from __future__ import annotations

from imblearn.pipeline import Pipeline

from ml.model.estimators.contract import Fitted
from ml.model.estimators.logistic_regression import FittedRegression


def pipeline_of(fitted: Fitted) -> Pipeline:
    """The pipeline that `fitted` holds."""
    assert isinstance(fitted, FittedRegression)
    return fitted.pipeline
