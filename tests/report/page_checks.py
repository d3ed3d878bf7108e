"""What every page must satisfy in a browser: nothing sticks out, texts can be read, nothing is loaded."""

from __future__ import annotations

import pytest

from tests.report.browser import Tab

SCHEMES = pytest.mark.parametrize(("width", "dark"), [(390, False), (390, True), (1280, False), (1280, True)])
# The contrast of every text that shows, against the nearest background that is painted behind it (WCAG 2.2, 1.4.3).
CONTRAST = """
(() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const parse = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = ([r, g, b]) => { const f = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const behind = (node) => { for (let n = node; n; n = n.parentElement) {
      const colour = parse(getComputedStyle(n).backgroundColor); if (colour[3] === 255) return colour; }
    return parse(getComputedStyle(document.body).backgroundColor); };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    const words = walker.currentNode.data.trim();
    if (!words || !node.checkVisibility() || ["SCRIPT", "STYLE", "title", "desc"].includes(node.tagName)) continue;
    const style = getComputedStyle(node);
    const ink = parse(node instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [light(ink), light(behind(node))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) poor.push([ratio.toFixed(2), node.tagName, node.getAttribute("class"), words.slice(0, 30)]);
  }
  return poor;
})()
"""
# What sticks out of the window although it is not in a region that scrolls.
OVERFLOW = """
[...document.querySelectorAll("main *, header *, footer *")]
  .filter((n) => n.checkVisibility() && !n.closest(".scroll") && n.getBoundingClientRect().right > innerWidth + 1)
  .map((n) => n.tagName + "." + n.getAttribute("class"))
"""


def check_page(tab: Tab, address: str, *, width: int, dark: bool) -> None:
    """No element overflows the window, all text has a contrast of 4.5 or more, no errors, no request but the page."""
    tab.requested.clear()
    tab.problems.clear()
    tab.open(address, width=width, dark=dark)
    assert tab.value("document.documentElement.scrollWidth") <= width
    assert tab.value(OVERFLOW) == []
    assert tab.value(CONTRAST) == []
    assert [each for each in tab.requested if not each.startswith("data:")] == [address]
    assert tab.problems == []
