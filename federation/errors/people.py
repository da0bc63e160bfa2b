"""TF56x, TF57x: pseudonym keys, those who opted out, which versions saw a person."""
