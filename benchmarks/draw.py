"""Draws the growth of the workers' memory as a picture."""

from pathlib import Path

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot

Curve = list[tuple[int, float]]


def draw_growth(curves: dict[str, Curve], picture: Path) -> None:
    """Write the memory (MiB) of each worker over the sign-ins done as an SVG picture."""
    matplotlib.rcParams.update(
        {"svg.fonttype": "none", "svg.hashsalt": "growth", "font.family": "sans-serif"}
    )
    figure, axes = pyplot.subplots(figsize=(7, 3.5), layout="constrained")
    for name, curve in curves.items():
        sign_ins, sizes = zip(*curve, strict=True)
        axes.plot(sign_ins, sizes, label=name)
    axes.set(xlabel="sign-ins", ylabel="resident memory, MiB", ylim=(0, None), xlim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(picture, metadata={"Date": None})
    pyplot.close(figure)
