"""Django looks for the commands below here."""
