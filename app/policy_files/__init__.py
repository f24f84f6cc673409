"""Policies as code: roles, policies and permissions in YAML files, and tests of what they allow."""
