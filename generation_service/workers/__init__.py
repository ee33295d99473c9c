"""The kinds of workers, each behind the queue's `WorkerDriver`."""
