"""Going back: which migrations are rolled back, and rolling them back."""
