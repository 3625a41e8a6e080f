"""What makes output easy to read: colours of states, tables as wide as the terminal."""
