"""Draws the results of the benchmark as an SVG chart.

Equal results give equal files. The chart is readable on light and dark backgrounds.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, OURS, OTHERS = "#7d8590", "#3b82f6", "#9aa4b2"
"""Two greys and a blue that are readable on white and on black. The background is transparent."""
THEIRS = ("bare", "raw", "FastAPI", "datasette", "no-op", "Flask-Limiter")
STYLE: Any = {"svg.hashsalt": "results", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9}
WIDTH, BAR, HEAD = 8.0, 0.24, 0.5
"""In inches: the width of the chart, the height of a bar, and the height of a panel without its bars."""


def draw(figures: Mapping[str, Any], file: Path) -> None:
    """Draw the panels of all parts of the benchmark, one below the other. A panel is a bar chart with a title."""
    panels = {title: bars for part in figures.values() for title, bars in part["bars"].items()}
    heights = [HEAD + BAR * len(bars) for bars in panels.values()]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
        axes = figure.subplots(len(panels), height_ratios=heights, squeeze=False)
        for (title, bars), panel in zip(panels.items(), axes[:, 0], strict=True):
            _panel(panel, title, bars)
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})


def _panel(panel: Axes, title: str, bars: Mapping[str, float]) -> None:
    names, values = list(bars), list(bars.values())
    drawn = panel.barh(names, values, color=[OTHERS if name.startswith(THEIRS) else OURS for name in names])
    panel.bar_label(drawn, [_shown(value) for value in values], padding=3, color=INK)
    panel.set_title(title, loc="left", color=INK, fontsize=10)
    panel.set_xlim(0, max(values) * 1.1)
    panel.invert_yaxis()
    panel.spines[:].set_visible(False)
    panel.tick_params(left=False, bottom=False, labelbottom=False, colors=INK)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}"  # noqa: PLR2004
