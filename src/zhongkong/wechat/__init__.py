"""The platform's language: error codes, endpoints and verdicts, as pure values and functions."""
