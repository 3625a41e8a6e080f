"""Tests of copies that may be handed out."""
