"""Commands about migrations, and what has run."""
