"""The client tests: one module for each client or kind of data."""
