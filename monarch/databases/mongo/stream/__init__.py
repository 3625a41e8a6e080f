"""Documents on their way."""
