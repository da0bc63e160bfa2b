"""Figures of evaluations, outcome and impact studies, as SVG in either language.

    svg = roc(Roc(...), Language.EN, cases=812)          # bytes, the same for the same data

One function a figure: `evaluation.py` (ROC, reliability, decision curve, drift, robustness,
heat map of versions by hospitals), `forests.py` (estimates under each other, also ratios),
`trust.py` (risk against answers, histograms of explanations), `outcomes.py` (survival with
numbers at risk), `readers.py` (readers without and with the AI), `studies.py`
(cost-effectiveness plane, acceptability, tornado, information, budget, monthly series).
They take plain numbers; the data stand beside the figure. Colours are Okabe and Ito's, and
every line, mark and area also differs in style, so that colour-blind readers and
black-and-white printers lose nothing. `canvas.py` is the only module that draws a page;
`numerals.py` says how numbers are set.
"""
