"""Charts: a frame in, a specification out."""
