"""The gate inside other people's libraries; each needs only httpx beside the library itself."""
