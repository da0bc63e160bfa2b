"""How updates become the next model: streaming aggregation and strategies."""
