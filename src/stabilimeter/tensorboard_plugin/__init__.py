"""The Stability tab of TensorBoard: a dynamic plugin that reads the log folder itself and never writes to it.

Charts are drawn by uPlot 1.6.32 (MIT, ``static/uplot.*``, unchanged from its npm package): one small file without
dependencies that draws 100,000 points on a canvas in tens of milliseconds, under TensorBoard's content security policy.
"""
