"""Evaluates tests of policies with the policy resolver."""
