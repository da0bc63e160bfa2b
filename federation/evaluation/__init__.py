"""Evaluations over hospitals, exact: what a site sends, what the centre computes, what is shown.

Read in this order:

1. `scores`, `sums`           what a site sends: histograms on a grid, typed, addable
2. `auroc`, `discrimination`  AUROC with DeLong and bootstrap; `paired` for two models
3. `operating_points`         thresholds and net benefit; `proportions` for intervals
4. `calibration`              slope, Brier, ECE, from the same histogram
5. `fairness`, `heterogeneity` between groups, with `multiplicity`; between sites
6. `regression`, `cox`, `ipw`, `survival`  fits over sites by summed gradients and tables
7. `drift`, `monitoring`, `robustness`, `explainability`, `conformal`, `membership`
8. `suppression`, `tables`, `parts`  what may be shown
9. `sliced`, `assessment`     all of it in one call; `versions`, `uncertainty`, `explained`
   beside it: pairs of versions, prediction sets, explanations
10. `policy`, `facts`         thresholds as data, and the decision

Pure: NumPy and SciPy, no files but `policy.toml`, no clock, no SQL, no web, no torch.
"""
