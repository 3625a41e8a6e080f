"""How long backups are kept: the policy, and what never goes."""
