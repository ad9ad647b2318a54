"""The Kafka door: Kafka's wire protocol, spoken on a TCP port of every broker."""
