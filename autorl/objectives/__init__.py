"""What an agent minimises: hand-written losses, loss graphs and learned objectives, peers behind one contract.

`autorl.objectives.graphs` holds the language of loss graphs, its two back ends, and what a search needs of them.
"""
