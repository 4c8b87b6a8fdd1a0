"""What this house does about the standards: listeners, actors, services, and the adapters of what it needs."""
