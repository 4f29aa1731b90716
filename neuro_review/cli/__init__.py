"""The command line: one module a noun, joined in `neuro_review.__main__`."""
