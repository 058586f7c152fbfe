"""What users are told when their input cannot be used."""


class UnusableInput(ValueError):
    """A file, number or option that cannot be used; the message says what to do. Exit code 2."""
