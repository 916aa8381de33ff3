"""placeholder"""


def print_estimate(*a: object) -> None: ...
