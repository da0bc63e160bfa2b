"""The gradient of every single image of a batch, which private training cuts one by one.

`method.py` chooses: layer by layer in one backward pass (`layerwise.py`, rules in
`layers.py`) where that is known to be right, else vectorised (`vectorised.py`).
"""
