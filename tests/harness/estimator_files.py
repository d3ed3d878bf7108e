"""Adds the estimator of tests/harness/estimators to the product, as one more file; not a test itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from ml.model import estimators

NAIVE_BAYES = "naive_bayes"
FOLDER = Path(__file__).parent / "estimators"
PLACE = Path("ml/model/estimators")
FILE = PLACE / f"{NAIVE_BAYES}.py"


def text() -> str:
    """The file of naive Bayes."""
    return (FOLDER / FILE.name).read_text("utf-8")


def copy_product(root: Path, source: Path) -> Path:
    """Copies the product's package of the tree `source` below `root`, with naive Bayes; returns `root`."""
    shutil.copytree(source / "ml", root / "ml", ignore=shutil.ignore_patterns("__pycache__"))
    (root / FILE).write_text(text(), encoding="utf-8")
    return root


@contextmanager
def importable(folder: Path = FOLDER) -> Iterator[None]:
    """The files of `folder` are estimators of this process too."""
    with mock.patch.object(estimators, "__path__", [*estimators.__path__, str(folder)]):
        yield
