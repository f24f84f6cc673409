"""The system API: collections, fields and relations as clients see and change them."""
