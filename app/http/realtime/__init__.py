"""Clients of realtime, whatever their protocol: who they are, how many there may be, and their subscriptions."""
