"""Prefect only: names, retries, states; every body is one call."""
