"""Where documents go: staged, compared, swapped in."""
