"""How much a command says, on the terminal and in a log file."""
