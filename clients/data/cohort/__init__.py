"""From the catalogue to tensors by patient."""
