"""What touches the world: MQTT, Kafka, the event loop."""
