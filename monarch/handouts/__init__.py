"""Copies that may be handed out: who must mask, what is masked, and whether anything leaks."""
