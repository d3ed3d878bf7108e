"""Writes a matplotlib figure as PNG; equal figures give equal bytes."""

from __future__ import annotations

import io

from matplotlib.figure import Figure


def png(figure: Figure) -> bytes:
    """The figure's bytes, without the writer's name or any time."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None}, pil_kwargs={"compress_level": 6})
    return buffer.getvalue()
