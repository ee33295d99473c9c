"""The queue of several processes: API replicas without state and workers anywhere, over NATS."""
