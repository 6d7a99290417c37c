"""Places where slots are kept: memory, the reference, and one SQL body for every database."""
