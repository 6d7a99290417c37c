"""The hub as the platform: any SDK, pointed here, shows a hub key for its secret and never sees a real token."""
