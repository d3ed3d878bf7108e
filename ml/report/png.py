"""Writes a matplotlib figure as PNG; equal figures give equal bytes."""

from __future__ import annotations

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def png(figure: Figure) -> bytes:
    """The figure's bytes, without the writer's name or any time."""
    buffer = io.BytesIO()
    # Figure.savefig draws the figure twice: the first time to learn what no figure of this project asks for.
    canvas, written = FigureCanvasAgg(figure), {"metadata": {"Software": None}, "pil_kwargs": {"compress_level": 6}}
    canvas.print_png(buffer, **written)  # type: ignore[no-untyped-call] # matplotlib declares no types for it
    return buffer.getvalue()
