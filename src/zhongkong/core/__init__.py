"""Pure rules: what a slot remembers, how fresh it is, who may mint. No clock is read here, and nothing is sent."""
