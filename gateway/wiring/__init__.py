"""What `gateway.app` puts together, one room a layer: premises, who we are, adapters, services, listeners."""
