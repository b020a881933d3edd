"""The MiniGrid family, fully observed, in pure JAX: boards distributed as MiniGrid's own generators draw them."""
