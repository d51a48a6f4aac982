"""Where things stand: layout engines, and ours."""
