"""Whether everything that monarch needs is there and well. Nothing here writes, starts a server or asks."""
