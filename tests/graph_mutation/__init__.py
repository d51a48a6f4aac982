"""Graphs changed in one place: what a diff claims to see, it must see, and say where, and say shortly.

`clay` makes bodies of outlines changeable, `mutations` changes them, `reordering` changes what must not fail,
`edits` changes models as people do; `matrix` runs mutations on the models of `models`.
``cd tests && python -m graph_mutation`` prints what has been seen, and what has not.
"""
