"""Pictures of everything that tests have logged, and a page that shows them."""
