"""TF4xx: SuperLink, nodes, rounds, updates and strategies."""
