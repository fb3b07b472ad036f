"""Measuring how good results are."""
