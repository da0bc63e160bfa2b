"""TF3xx: study files, recipes, proposals, approvals and policy."""
