"""What became of patients: small tables that the hospital adds, one line for each patient.

`reading` checks a CSV file against a protocol's variables, `store` keeps it under pseudonyms
(mode 0600) and gives back the lines of those who did not opt out.
"""
