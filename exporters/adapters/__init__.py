"""Where exporters touch the world: Kafka and HTTP."""
