"""Comparison of documents that two machines made; not a test itself."""

from __future__ import annotations

from typing import Any

import numpy as np


def assert_close(found: Any, expected: Any, tolerance: float, path: str = "") -> None:
    """The documents have the same form, integers and texts; other numbers differ by `tolerance` at most."""
    assert type(found) is type(expected), path
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), path
        for key in expected:
            assert_close(found[key], expected[key], tolerance, f"{path}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), path
        for place, pair in enumerate(zip(found, expected, strict=True)):
            assert_close(*pair, tolerance, f"{path}[{place}]")
    elif isinstance(expected, float):
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance, err_msg=path)
    else:
        assert found == expected, path
