"""Finds an estimator by its name: that of its file in this folder. A new file is a new estimator.

Imports an estimator when it is asked for, never before: its libraries take seconds to load.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from ml.model.estimators.contract import Estimator

_CONTRACT = "contract"


def names() -> tuple[str, ...]:
    """The names of the estimators, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != _CONTRACT))


def unknown(name: str) -> str:
    """What is wrong with a name that is not among `names()`, and what to do."""
    return f"must be one of {', '.join(names())}, the files of ml/model/estimators (got {name!r})"


def load(name: str) -> Estimator:
    """The estimator `name`.

    Raises:
        ValueError: no file has the name, or the file has no function `fit`.
    """
    if name not in names():
        raise ValueError(f"estimator {unknown(name)}")
    module = importlib.import_module(f"{__name__}.{name}")
    if not hasattr(module, "fit"):
        raise ValueError(f"ml/model/estimators/{name}.py: must have a function fit, as contract.py describes it")
    return cast("Estimator", module)
