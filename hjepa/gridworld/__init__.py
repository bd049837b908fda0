"""What an agent can do in worlds of cells: guardrails, missions, memory of partial views."""
