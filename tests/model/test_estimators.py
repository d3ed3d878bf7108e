"""Estimators are found by the names of their files, without importing them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ml.model import estimators
from ml.model.estimators import logistic_regression
from tests.harness import estimator_files

ROOT = Path(__file__).resolve().parents[2]


def test_names_are_those_of_the_files() -> None:
    """Every file of the folder but the contract is an estimator."""
    files = {path.stem for path in (ROOT / estimator_files.PLACE).glob("*.py")} - {"__init__", "contract"}
    assert set(estimators.names()) >= files >= {"logistic_regression"}
    assert estimators.load("logistic_regression") is logistic_regression


def test_new_file_is_an_estimator(tmp_path: Path) -> None:
    """A file beside the others is found; one without `fit` is refused with what it lacks."""
    (tmp_path / "with_fit.py").write_text("def fit(training, X, y):\n    raise ValueError('no rows')\n")
    (tmp_path / "without_fit.py").write_text("X = 1\n")
    with estimator_files.importable(tmp_path):
        assert set(estimators.names()) >= {"logistic_regression", "with_fit", "without_fit"}
        assert hasattr(estimators.load("with_fit"), "fit")
        with pytest.raises(ValueError, match=r"estimators/without_fit\.py: must have a function fit"):
            estimators.load("without_fit")
    assert "with_fit" not in estimators.names()


@pytest.mark.parametrize("name", ["contract", "random_forest", "", "..scorer", "os"])
def test_unknown_estimator_is_refused_with_the_names(name: str) -> None:
    """The message lists what there is; a name never leads out of the folder."""
    with pytest.raises(ValueError, match=r"estimator must be one of (.*, )?logistic_regression.*ml/model/estimators"):
        estimators.load(name)


def test_names_import_no_estimator() -> None:
    """Commands validate model.yaml without the libraries of training."""
    code = (
        "import sys; from ml.model import estimators; estimators.names()\n"
        "print([name for name in ('imblearn', 'numpy', 'pandas', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
