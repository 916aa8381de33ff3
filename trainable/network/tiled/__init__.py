"""The network's convolutional part in training on a CPU, tile by tile.

An operation on a whole batch writes hundreds of megabytes that the next one reads again, so much of a step is waiting
for memory. Here each layer goes over the batch in tiles of a few images, which stay in the cache from the last layer's
normalisation to this layer's convolution and its statistics. Layers wait for each other, so batch normalisation sees
the whole batch: values and gradients are those of the modules, up to the rounding of float32.

For the backward pass only each convolution's output is kept, and those of the blocks; what was normalised and activated
is computed again (for memory's sake that is the idea of In-Place Activated BatchNorm, Rota Bulò et al., 2018). Threads
share the tiles, and sums over tiles are taken in the order of the tiles: no number depends on how many threads there
are.
"""
