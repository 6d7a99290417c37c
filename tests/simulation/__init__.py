"""The simulation: the real keeper against the sandbox's world in virtual time, judged by an oracle that knows the truth."""
