"""Places outside where older programs look for a credential: a Redis key, a file, a webhook."""
