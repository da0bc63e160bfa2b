"""Figures of merit from counts alone, so a site can send them and a centre add them."""
