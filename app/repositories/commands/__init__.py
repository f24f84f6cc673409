"""Write commands of the account and upload flows."""
