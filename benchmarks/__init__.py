"""How long monarch takes, beside what it is measured against, paired in one run."""
