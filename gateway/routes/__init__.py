"""The endpoints, one module a subject: from HTTP to one call of a service and back."""
