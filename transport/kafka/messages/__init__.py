"""Kafka's messages, one file per API, written by `tools/kafka_messages.py`; each is imported when it is first used."""
