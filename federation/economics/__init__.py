"""Health economics of diagnostic AI: small, pure, vectorised over draws.

    model = read_model(content, accuracy_of)                  # a TOML file (model_file.py)
    result = analyse(model, draws=10_000, seed=7)             # analysis.py: all of the below
    frontier(strategies)                                      # frontier.py: ICERs, dominance
    run_cohort(cohort, rewards, horizon)                      # markov.py: cohort Markov model
    evpi(net_benefit(draws, 1_000_000))                       # uncertainty.py: CEAC, EVPI, EVPPI
    tornado(...), threshold_price(...)                        # sensitivity.py
    budget_impact(...)                                        # budget.py: five years, by sector

Money is in the price base of the model (`money.PriceBase`), effects are QALYs, time is
in years. Nothing here reads a file, a clock or a network; randomness comes from a seed.
Formulas: EVALUATION.md D.4; reference values: D.6.
"""
