"""Our agents in other people's harnesses. Each module imports theirs when it is asked to, and not before."""
