"""Loss graphs: a typed language of operators as data, an interpreter and a compiler with one meaning, identity, mutation, export."""
