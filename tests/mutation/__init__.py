"""Histories made wrong in one place, and models that lie: what validation claims to see, it must see.

`models` has good models, `mutations` what a recorder could have got wrong, `matrix` runs each on each;
`smugglers` has models that do behind the recorder's back what no history can tell.
``cd tests && python -m mutation`` prints which check has found how many.
"""
