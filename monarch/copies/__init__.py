"""Copying one environment into another."""
