"""What the client tests share: the server under test, a Broker, test data and exact comparison."""
