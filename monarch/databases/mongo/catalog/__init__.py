"""What a database says of its collections."""
