"""What ~/.ssh says, as OpenSSH reads it, where paramiko reads less."""
