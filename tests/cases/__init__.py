"""Protocols made whole for testing: see ``cases.case``."""
