"""What a run of migrations reports."""
