"""The bootstrap that all services share: settings, logging, errors, principals, server, channels.

It exists so that every service starts, fails, logs and stops in the same way. It holds no domain
words and nothing that only one service needs.
"""
