"""How things look: text, colours, and the forms of a picture."""
