"""What each API does: one file per family, translating between Kafka's messages and those of this node's actors."""
