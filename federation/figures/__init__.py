"""Figures of evaluations and impact studies, as SVG in either language.

    svg = roc(Curve(...), language=Language.EN)          # bytes, the same for the same data

One function a figure: `evaluation.py` (ROC, reliability, forest, decision curve, drift,
cross-site heat map), `studies.py` (cost-effectiveness plane, acceptability, tornado,
budget, survival, series). They take plain numbers; the data stand beside the figure as
JSON. Colours are Okabe and Ito's, and every line and area also differs in style, so that
colour-blind readers and black-and-white printers lose nothing. `canvas.py` is the only
module that knows matplotlib.
"""
