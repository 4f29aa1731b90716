"""What the labels say of the models."""
