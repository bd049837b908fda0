"""Evaluation: episodes, records, statistics, and what holds an agent back."""
