"""Items found again, and the whole story of one: for people who look back."""
