"""What is known of one patient at one moment, and the facts that cards ask of it."""
