"""The agent: encode, search within a budget, act."""
