"""What is measured: overlap, surfaces, instances. Each definition is written once, here."""
