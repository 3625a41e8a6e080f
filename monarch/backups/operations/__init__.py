"""What commands have done to environments, where a journal in a database cannot hold it: in the store."""
