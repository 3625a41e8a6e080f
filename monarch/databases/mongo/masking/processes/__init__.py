"""Processes that mask documents beside monarch."""
