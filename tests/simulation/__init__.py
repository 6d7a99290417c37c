"""The simulation: the real keeper against the sandbox's world, in virtual time, under an oracle's eyes."""
