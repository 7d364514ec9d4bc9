"""What `apparel serve` does under load and attack, on this machine alone."""
