"""What is claimed of a port, proved on everything that stands behind it."""
