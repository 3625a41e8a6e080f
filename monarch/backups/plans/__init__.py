"""What a command would do, to be shown before its question: what goes, what comes, and the way back."""
