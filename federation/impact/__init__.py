"""Impact studies of clinical AI: designs, power, and analyses from small tables.

    power_of_means(...), stepped_wedge(...)        power.py: sample size and power
    difference_of_means(one, other)                arms.py: two arms from sums
    analyse_clusters(tables, model)                clusters.py: cluster and stepped-wedge trials
    interrupted_series(months)                     series.py: before and after, with trend
    median_interval(counts), ratio_of_means(...)   skewed.py: times and costs
    pooled_by_rubin(...), e_value(...)             sensitivity.py
    read_protocol(content)                         protocol.py: PICO, estimand, plan, digest
    read_table(content, protocol)                  site_table.py: what a hospital sends

A hospital sends counts, sums and sums of squares of its cells; the centre computes. All
results are those of the cases together. Designs and formulas: EVALUATION.md D.1 to D.3.
"""
