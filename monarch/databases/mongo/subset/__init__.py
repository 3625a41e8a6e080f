"""Which documents a selection means."""
