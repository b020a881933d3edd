"""The best configuration in the words of other libraries: Stable-Baselines3, RL Baselines3 Zoo, CleanRL."""
