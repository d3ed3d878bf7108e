"""What every regression says of its fit: that resampling added nothing, or that it did not converge."""

from __future__ import annotations

from ml.model.training_settings import Regression, Resampling


def resampling_notes(settings: Resampling, synthetic_rows: int) -> tuple[str, ...]:
    """Says so where SMOTE is set and added nothing."""
    if settings.minority_ratio <= 0 or synthetic_rows:
        return ()
    return (
        f"SMOTE added no rows: frauds already are {settings.minority_ratio:g} or more of the legitimate training rows.",
    )


def not_converged(settings: Regression, reason: object) -> str:
    """The error of a fit that ended without a solution; names the settings that can be changed."""
    return (
        f"the regression did not converge to {settings.tolerance:g} within {settings.max_iterations} iterations: raise "
        f"regression.max_iterations or regression.l2_penalty, or loosen regression.tolerance ({reason})"
    )
