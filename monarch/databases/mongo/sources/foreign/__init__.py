"""What mongodump wrote without monarch: archives, folders, and one file of documents."""
