"""Impact studies of clinical AI: designs, power, and analyses from small tables.

    power_of_means(...), power_of_wedge(...)       power.py: sample size and power
    power_of_readers(...), power_of_series(...)    reader_power.py, series_power.py
    difference_of_means(one, other)                arms.py: two arms from sums
    cluster_robust(clusters), random_intercept     clusters.py: cluster trials, changes
    interrupted_series(months)                     series.py: before and after, with trend
    autoregressive_series(months, began)           series_errors.py: the same, honest if short
    compare_readers(readings)                      readers.py: reader studies (E20)
    median_interval(counts), ratio_of_means(...)   skewed.py: times and costs
    choose(cohort, ...), weighted_difference(...)  cohort.py, weighted.py: comparable people
    pooled_by_rubin(...), e_value(...)             sensitivity.py, inference.py
    catalogue()                                    measures.py: what may be measured, as data
    read_protocol(content), templates(...)         protocol.py: PICO, estimand, new files
    read_design(content), power_table(design)      design.py: a design's power by size
    read_plan(content), analyse(plan, rows)        plan.py, analysis.py: the logged analysis
    make_table(cases, site, plan)                  hospital.py: the one file that leaves
    tabulate(cases, site, plan)                    tabulate.py, reader_table.py: from cases
    read_table(content, site, plan)                site_table.py: what a hospital sends
    read_report(content, site, plan)               measure_report.py: the same as FHIR
    seal(numbers, plan), unseal(files, plan)       sealed.py: the same as a masked sum
    gather(tables, plan)                           gathering.py: all hospitals' files

A hospital sends counts, sums and sums of squares of its cells; the centre computes. All
results are those of the cases together. Designs and formulas: EVALUATION.md D.1 to D.3.
"""
