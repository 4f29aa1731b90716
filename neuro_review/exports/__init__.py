"""Data out: the labels of a workflow in a file that other tools read, with a manifest that says what it holds."""
