"""Plots of an evaluation, drawn without a screen, in colours for the colour-blind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import shapely

from landslide_map.array_types import Shapes
from landslide_map.errors import optional_packages
from landslide_map.evaluation.outline_agreement import A_THIRD

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import PathPatch

    from landslide_map.evaluation.inventory_match import Match

ENSEMBLE: Final = "#0072B2"
OTHERS: Final = ("#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000")
"""Okabe and Ito (2008), without the yellow, which is invisible on white paper."""
_DASHES: Final = ("--", "-.", ":", (0, (5, 1)))
_GREY: Final = "#666666"
DPI: Final = 150
NAMED: Final = 9
"""Members beside the ensemble that colour and dash can distinguish; more would be unreadable."""

_CORNERED: Final = 0.95
"""Area under ROC curves above which they leave the middle of the picture free."""
_FEW: Final = 5
"""Most curves with a legend inside the axes."""

Curves = Mapping[str, Mapping[str, npt.NDArray[np.float64]]]
"""Name of the ensemble, then of each member -> arrays."""


def require_matplotlib() -> None:
    """Refuse (E612) where matplotlib is not installed."""
    with optional_packages("--report needs", "report"):
        import matplotlib  # noqa: F401


def roc(path: Path, curves: Curves, areas: Mapping[str, float | None]) -> None:
    """Draw ``true_positive_rate`` over ``false_positive_rate``."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=_GREY, linewidth=0.8, label="chance")
        for style, (name, curve) in _styled(curves):
            x, y = curve["false_positive_rate"], curve["true_positive_rate"]
            axes.plot(x, y, label=f"{name} (AUC {_number(areas.get(name))})", **style)
        if min(area or 0.0 for area in areas.values()) > _CORNERED:
            _enlarge_corner(axes, curves)
        axes.set(xlabel="False alarms among windows without landslide", ylabel="Landslide windows found")
        _legend(axes, len(curves), loc="lower right")

    _save(path, "ROC, window level", draw, len(curves))


def _enlarge_corner(axes: Axes, curves: Curves) -> None:
    """Show the upper left corner in the free middle, where all curves run close to it."""
    corner = axes.inset_axes((0.28, 0.42, 0.5, 0.46))
    corner.set(xlim=(0, 0.15), ylim=(0.75, 1))
    corner.tick_params(labelsize=7)
    for style, (_, curve) in _styled(curves):
        corner.plot(curve["false_positive_rate"], curve["true_positive_rate"], **style)
    axes.indicate_inset_zoom(corner, edgecolor=_GREY)


def precision_recall(
    path: Path, curves: Curves, areas: Mapping[str, float | None], share: float, chosen: Mapping[str, Any]
) -> None:
    """Draw ``precision`` over ``recall``; `chosen` is where the threshold lies."""

    def draw(axes: Axes) -> None:
        for style, (name, curve) in _styled(curves):
            x, y = curve["recall"], curve["precision"]
            axes.plot(x, y, label=f"{name} (AP {_number(areas.get(name))})", **style)
        if chosen.get("recall") is not None and chosen.get("precision") is not None:
            axes.plot(chosen["recall"], chosen["precision"], "o", color=ENSEMBLE, label="at the threshold")
        axes.axhline(share, color=_GREY, linewidth=0.8, label=f"calling every window ({share:.3f})")
        axes.set(xlabel="Recall: landslide windows found", ylabel="Precision: alarms that are right")
        _legend(axes, len(curves), loc="lower left", bbox_to_anchor=(0.0, share if share < 0.3 else 0.0))

    _save(path, "Precision and recall, window level", draw, len(curves))


def reliability(path: Path, curve: Mapping[str, npt.NDArray[np.float64]], error: float | None) -> None:
    """Draw found share over promised probability, and how many windows each bin holds."""
    figure = _figure((5.2, 5.6))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    upper.plot([0, 1], [0, 1], color=_GREY, linewidth=0.8, label="perfectly calibrated")
    found, windows = curve["found"], curve["windows"]
    spread = 1.96 * np.sqrt(found * (1 - found) / windows)
    upper.errorbar(
        curve["promised"],
        found,
        yerr=[np.minimum(spread, found), np.minimum(spread, 1 - found)],
        fmt="o-",
        color=ENSEMBLE,
        capsize=2,
        markersize=4,
        label=f"ensemble (calibration error {_number(error)})",
    )
    upper.set(ylabel="Found: share with landslide", ylim=(-0.02, 1.02))
    upper.set_title("Reliability, window level", loc="left", fontsize=11)
    upper.legend(loc="upper left")
    lower.bar(curve["promised"], windows, width=0.04, color=ENSEMBLE)
    lower.set(yscale="log", xlabel="Promised: mean probability of the windows in a bin", ylabel="Windows")
    lower.set(xlim=(-0.03, 1.03))
    _finish(figure, path)


def thresholds(path: Path, curve: Mapping[str, npt.NDArray[np.float64]], marks: Mapping[str, float]) -> None:
    """Draw F1, precision and recall over the threshold; `marks` are thresholds worth a line."""

    def draw(axes: Axes) -> None:
        x = curve["threshold"]
        for name, colour, dash in (
            ("f1", ENSEMBLE, "-"),
            ("precision", OTHERS[0], "--"),
            ("recall", OTHERS[1], "-."),
        ):
            label = "F1" if name == "f1" else name.capitalize()
            axes.plot(x, curve[name], color=colour, linestyle=dash, label=label)
        for name, value in marks.items():
            axes.axvline(value, color=_GREY, linewidth=0.8, linestyle=":")
            axes.annotate(
                f"{name} {value:.3g}", (value, 0.03), color=_GREY, fontsize=8, rotation=90, ha="right"
            )
        axes.set(xlabel="Threshold on the probability", ylabel="Figure over all windows")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3)

    _save(path, "What a threshold does, window level", draw)


def correlation(path: Path, members: list[str], matrix: npt.NDArray[np.float64]) -> None:
    """Draw the correlations of the members' errors."""
    size = max(4.0, 0.42 * len(members) + 2.4)
    figure = _figure((size + 0.8, size))
    axes = figure.subplots()
    lowest = min(0.9, np.floor(np.nanmin(matrix) * 10) / 10)
    image = axes.imshow(matrix, vmin=lowest, vmax=1, cmap="cividis")
    places = range(len(members))
    axes.set_xticks(places, members, rotation=90, fontsize=8)
    axes.set_yticks(places, members, fontsize=8)
    axes.grid(visible=False)
    for (row, column), value in np.ndenumerate(matrix):
        if np.isfinite(value) and len(members) <= 30:
            colour = "black" if value > (1 + lowest) / 2 else "white"
            axes.text(
                column, row, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=7 - (size > 9)
            )
    axes.set_title("Correlation of members' errors, window level", loc="left", fontsize=11)
    figure.colorbar(image, ax=axes, shrink=0.7)
    _finish(figure, path)


def bars(path: Path, title: str, label: str, values: Mapping[str, float | None], notes: list[str]) -> None:
    """Draw one horizontal bar for each name, `notes` at their ends; None draws no bar."""
    figure = _figure((6.4, 1.2 + 0.32 * len(values)))
    axes = figure.subplots()
    lengths = [value or 0.0 for value in values.values()]
    places = np.arange(len(lengths))
    axes.barh(places, lengths, color=ENSEMBLE, height=0.65)
    axes.set_yticks(places, list(values))
    axes.invert_yaxis()
    axes.axvline(0, color="black", linewidth=0.8)
    low, high = min(0.0, *lengths), max(*lengths, 0.0)
    margin = 0.22 * ((high - low) or 1.0)
    for place, length, note in zip(places, lengths, notes, strict=True):
        axes.annotate(note, (max(length, 0.0) + margin / 20, place), va="center", fontsize=8)
    axes.set(xlabel=label, xlim=(low - margin * (low < 0) / 4, high + margin))
    axes.set_xticks([tick for tick in axes.get_xticks() if low <= tick <= high + margin / 20])
    axes.set_title(title, loc="left", fontsize=11)
    _finish(figure, path)


def outlines(path: Path, match: Match) -> None:
    """Draw known landslides, held or missed, and mapped ones, right or false; others lie outside the area."""
    figure = _figure((8.0, 8.6))
    axes = figure.subplots()
    held = match.inside >= A_THIRD
    groups = (
        ("known, a third or more mapped", match.known[held], OTHERS[1], "none"),
        ("known, missed", match.known[~held], OTHERS[3], "none"),
        ("mapped, on a landslide", match.mapped[match.right], "none", ENSEMBLE),
        ("mapped, on none", match.mapped[~match.right], "none", OTHERS[0]),
    )
    for label, shapes, fill, edge in groups:
        axes.add_patch(_patch(shapes, label=f"{label} ({len(shapes)})", facecolor=fill, edgecolor=edge))
    west, south, east, north = shapely.bounds(match.area)
    axes.set(xlim=(west, east), ylim=(south, north), xlabel="Easting, m", ylabel="Northing, m")
    axes.set_aspect("equal")
    axes.set_title("Known and mapped landslides, object level", loc="left", fontsize=11)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2)
    _finish(figure, path)


def _patch(shapes: Shapes, **style: Any) -> PathPatch:
    """Return polygons with their holes as one shape of matplotlib."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Line

    rings = [
        shapely.get_coordinates(ring)
        for polygon in shapely.get_parts(shapes)
        for ring in (polygon.exterior, *polygon.interiors)
    ]
    codes = [[Line.MOVETO, *[Line.LINETO] * (len(ring) - 2), Line.CLOSEPOLY] for ring in rings]
    corners = np.concatenate(rings) if rings else np.zeros((0, 2))
    return PathPatch(Line(corners, np.concatenate(codes) if codes else None), linewidth=0.8, **style)


def _styled(curves: Curves) -> list[tuple[dict[str, Any], tuple[str, Mapping[str, Any]]]]:
    styles: list[dict[str, Any]] = [{"color": ENSEMBLE, "linewidth": 2.0, "zorder": 3}]
    styles += [
        {"color": OTHERS[i % len(OTHERS)], "linewidth": 1.1, "linestyle": _DASHES[i % len(_DASHES)]}
        for i in range(len(curves) - 1)
    ]
    return list(zip(styles, curves.items(), strict=True))


def _legend(axes: Axes, curves: int, **inside: Any) -> None:
    """Draw the legend inside, or beside the axes where it is long."""
    if curves > _FEW:
        inside = {"loc": "upper left", "bbox_to_anchor": (1.02, 1)}
    axes.legend(**inside)


def _save(path: Path, title: str, draw: Callable[[Axes], None], curves: int = 1) -> None:
    figure = _figure((5.2 if curves <= _FEW else 7.8, 4.6))
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.set_title(title, loc="left", fontsize=11)
    draw(axes)
    _finish(figure, path)


def _figure(size: tuple[float, float]) -> Figure:
    """Return a figure of its own: neither pyplot's state nor a window is touched."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _finish(figure: Figure, path: Path) -> None:
    for axes in figure.axes:
        if axes.get_label() == "<colorbar>":
            continue
        axes.spines[["top", "right"]].set_visible(False)
        if any(line.get_visible() for line in axes.get_xgridlines()) or not axes.images:
            axes.grid(color="#dddddd", linewidth=0.6, axis="x" if axes.yaxis_inverted() else "both")
        axes.set_axisbelow(True)
        if legend := axes.get_legend():
            legend.set_frame_on(False)
            for text in legend.get_texts():
                text.set_fontsize(8)
    figure.savefig(path, dpi=DPI, metadata={"Software": None})


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
