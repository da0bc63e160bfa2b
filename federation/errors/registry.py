"""TF7xx: registry, evidence and signatures."""
