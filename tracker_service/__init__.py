"""The tracker: stores every execution record, shows it live, and hands it out.

It is the memory of the house. Nobody waits for it, so its one promise is in the acknowledgement:
what was acked is on the disk.
"""
