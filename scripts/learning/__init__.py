"""What training a network takes: images, models, optimisers, runs and their tuning."""
