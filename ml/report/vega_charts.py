"""Renders charts from Vega-Lite specifications: as static SVG, and as interactive charts for browsers with scripts.

vl-convert renders the SVG in this process and contains Vega's JavaScript, so neither the build nor the page needs a
network or a browser. Colours are variables of the page's style sheet, so one drawing works for the light and the dark
theme.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import vl_convert

WIDE, NARROW = 760, 358
"""Widths in pixels of the static drawings, for windows above and below 620 pixels."""

Layer = dict[str, Any]

_CONFIG: dict[str, Any] = {
    "aria": False,  # the element around a chart has its title and description; no mark is read out
    "background": None,
    "font": 'system-ui, -apple-system, "Segoe UI", "Liberation Sans", Arial, sans-serif',
    "view": {"stroke": None},
    "axis": {
        "domain": False,
        "ticks": False,
        "gridColor": "var(--line)",
        "labelColor": "var(--soft)",
        "labelFontSize": 12,
        "labelPadding": 8,
        "titleColor": "var(--soft)",
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    },
    "axisX": {"grid": False, "labelAngle": 0, "labelOverlap": True},
    "axisY": {"minExtent": 46, "maxExtent": 46},
    "legend": {
        "orient": "top",
        "labelColor": "var(--ink)",
        "labelFontSize": 12,
        "symbolOpacity": 1,
        "symbolSize": 70,
        "columnPadding": 24,
        "columns": {"expr": "width < 500 ? 2 : 0"},  # 0 is one row, which is wider than a telephone
        "offset": 26,  # above the numbers of approvals
        "title": None,
    },
    "text": {"fontSize": 12},
}


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One chart of a page.

    `layers` are always drawn; `details` are added on top if scripts run, and show a figure under the pointer. `height`
    is that of the plot in pixels, or `{"step": pixels}` for each row of a discrete axis.
    """

    name: str
    title: str
    description: str
    data: Sequence[Mapping[str, Any]]
    encoding: Mapping[str, Any]
    layers: Sequence[Layer]
    details: Sequence[Layer] = ()
    height: int | Mapping[str, int] = 230

    def svg(self, width: int) -> str:
        """The static drawing, `width` pixels wide; its texts are escaped."""
        return vl_convert.vegalite_to_svg(self._specification(self.layers, width))

    def vega(self) -> dict[str, Any]:
        """The interactive chart, as a specification for Vega's runtime."""
        return vl_convert.vegalite_to_vega(self._specification([*self.layers, *self.details], WIDE))

    def _specification(self, layers: Sequence[Layer], width: int) -> dict[str, Any]:
        return {
            "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
            "config": _CONFIG,
            "autosize": {"type": "fit-x", "contains": "padding"},
            "padding": {"left": 0, "top": 4, "right": 12, "bottom": 4},
            "width": width,
            "height": self.height,
            "data": {"values": list(self.data)},
            "encoding": self.encoding,
            "layer": list(layers),
        }


def details_on_hover(y: Mapping[str, Any], *, x: Mapping[str, Any] | None = None) -> Layer:
    """A layer that marks the point nearest to the pointer and shows its field `words`; `x` replaces the chart's x."""
    return {
        "params": [
            {
                "name": "nearest",
                "select": {"type": "point", "nearest": True, "on": "pointerover", "clear": "pointerout"},
            }
        ],
        "mark": {
            "type": "point",
            "size": 160,
            "color": "var(--ink)",
            "strokeWidth": 2,
            # The area around a point, which the pointer is over, has the point as its datum.
            "tooltip": {"expr": "datum.datum ? datum.datum.words : datum.words"},
        },
        "encoding": {
            "y": y,
            "opacity": {"condition": {"param": "nearest", "empty": False, "value": 1}, "value": 0},
        }
        | ({"x": x} if x else {}),
    }


@cache
def script() -> str:
    """The JavaScript that draws a page's interactive charts: Vega Embed with all it needs, and charts.js."""
    own = resources.files("ml.report").joinpath("templates", "charts.js").read_text(encoding="utf-8")
    return vl_convert.javascript_bundle(own)
