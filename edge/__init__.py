"""The edge agent: sensors in, rows of readings out to Kafka."""
