"""Weights and what is known of them."""
