"""Work in pieces of a fixed size, which any number of threads share.

PyTorch divides an operation among its threads by their number, so sums are taken in another order with each number, and
oneDNN and MKL choose other code. Here each operation runs on one thread, on a piece whose size does not depend on the
machine. So no number depends on how many threads there are or on which of them takes which piece, and their number may
change at any moment.
"""
