"""Pages."""

from ml.local.github.router import Router


def register(router: Router) -> None:
    """Adds every page."""
