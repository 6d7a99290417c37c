"""What lets replicas hear of a save at once: a bell, which may be silent, late or wrong."""
