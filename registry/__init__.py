"""The register of models and the evidence behind each."""
