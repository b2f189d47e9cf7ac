"""The one Kafka client of all rooms, and Apache Kafka itself from pip."""
