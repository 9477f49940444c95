"""What is rare in a plant, and normal; one program each."""
