"""What is stored, and the promises the database keeps by itself; knows nothing of the code above it."""
