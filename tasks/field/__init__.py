"""The field's own tasks: geometry, data and success as published, simulated and drawn here for E episodes at once."""
