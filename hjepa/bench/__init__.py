"""How fast it is: each piece of work beside what people would otherwise do, measured in turns in one run."""
