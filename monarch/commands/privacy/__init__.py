"""The commands for copies that may be handed out."""
