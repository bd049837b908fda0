"""One module per command: its docstring is the help, `add_arguments` declares options, `run` does the work.

These modules are imported for `hjepa --help`, so everything heavy is imported inside `run`.
"""
