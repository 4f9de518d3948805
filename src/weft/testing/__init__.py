"""What tests and demonstrations of a deployment need: real small implementations, and a load that counts every lost request."""
