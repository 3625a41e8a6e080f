"""Commands that work on several environments, or on several databases of one."""
