"""Outcome studies over hospitals."""
