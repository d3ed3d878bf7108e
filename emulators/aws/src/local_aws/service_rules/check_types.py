"""The type of a check: it takes the parameters of a request, and raises AwsError if its rule refuses them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Mapping[str, Any]], None]
