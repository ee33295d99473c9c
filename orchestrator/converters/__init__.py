"""Protobuf to domain and back. No decision is made here."""
