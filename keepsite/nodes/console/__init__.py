"""How the console shows nodes and promotions, and what operators do with them there."""
