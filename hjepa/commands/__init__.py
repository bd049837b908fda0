"""One module per command: its docstring is the help, `add_arguments` declares options, `run` does the work, and
`continues` says whether the same command goes on after an interruption.

These modules are imported for `hjepa --help`, so everything heavy is imported inside `run`.
"""
