"""Impact studies of clinical AI: designs, power, and analyses from small tables.

    power_of_means(...), stepped_wedge(...)        power.py: sample size and power
    difference_of_means(one, other)                arms.py: two arms from sums
    analyse_clusters(tables, model)                clusters.py: cluster and stepped-wedge trials
    interrupted_series(months)                     series.py: before and after, with trend
    median_interval(counts), ratio_of_means(...)   skewed.py: times and costs
    pooled_by_rubin(...), e_value(...)             sensitivity.py
    read_protocol(content), templates(...)         protocol.py: PICO, estimand, new files
    read_design(content), power_table(design)      design.py: a design's power by size
    read_plan(content), analyse(plan, rows)        plan.py, analysis.py: the logged analysis
    tabulate(cases, site, plan)                    tabulate.py: from cases to the table
    read_table(content, site, plan)                site_table.py: what a hospital sends
    read_report(content, site, plan)               measure_report.py: the same as FHIR

A hospital sends counts, sums and sums of squares of its cells; the centre computes. All
results are those of the cases together. Designs and formulas: EVALUATION.md D.1 to D.3.
"""
