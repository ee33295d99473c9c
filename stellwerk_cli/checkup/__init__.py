"""What `stellwerk doctor` looks at: this machine, what lies outside, the deployment."""
