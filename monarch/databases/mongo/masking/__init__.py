"""Masking documents on their way, and checking that nothing leaks."""
